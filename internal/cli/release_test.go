package cli

import (
	"slices"
	"testing"
)

func TestUnwritable(t *testing.T) {
	const maps = `00400000-00d88000 r-xp 00000000 fe:00 9986901                            /opt/my tools/scnet-mcp
00d88000-01770000 r--p 00988000 fe:00 9986901                            /opt/my tools/scnet-mcp
01770000-017f6000 rw-p 01370000 fe:00 9986901                            /opt/my tools/scnet-mcp
01800000-01900000 r--s 01370000 fe:00 9986901                            /opt/my tools/scnet-mcp
017f6000-0383d000 rw-p 00000000 00:00 0 
2db9f6000000-2db9f6c00000 r--p 00000000 fe:00 42                         /usr/lib/other
2db9f6000000-2db9f6c00000 r--p 00000000 fe:00 42                         /else/opt/my tools/scnet-mcp.so
x-y r--p 00988000 fe:00 9986901                                          /opt/my tools/scnet-mcp
02-01 r--p 00988000 fe:00 9986901                                        /opt/my tools/scnet-mcp
7f0aac6ad000-7f0aac6af000 r-xp 00000000 00:00 0                          [vdso]
`
	want := []span{{0x400000, 0xd88000}, {0xd88000, 0x1770000}}
	if got := unwritable(maps, "/opt/my tools/scnet-mcp"); !slices.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	if got := unwritable("", "/opt/my tools/scnet-mcp"); got != nil {
		t.Errorf("got %x", got)
	}
}
