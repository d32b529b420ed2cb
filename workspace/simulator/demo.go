package simulator

import "time"

// DemoAccount is the account of a Simulator that was given none: a permanent key and a temporary one. All of it is made up.
func DemoAccount() Account {
	return Account{
		DomainID: "6f1c2e0d9b8a47d3a5c4e3f2b1a09d8c", Domain: "demo-account",
		User: "demo", Password: "DemoPasswordThatOpensNothing",
		Projects: []Project{{ID: "0a1b2c3d4e5f60718293a4b5c6d7e8f9", Name: "cn-north-4"}},
		Keys: []Key{
			{AccessKey: "DEMOACCESSKEY0000001", SecretKey: "DemoSecretKeyThatOpensNothing00000000001"},
			{
				AccessKey: "DEMOACCESSKEY0000002", SecretKey: "DemoSecretKeyThatOpensNothing00000000002",
				SecurityToken: "demo-security-token",
			},
		},
	}
}

// DemoPools are the pools of a Simulator that was given none.
func DemoPools() []Pool {
	return []Pool{{ID: "c9b2a6d0-6f1e-4a57-9d3b-2e8f7a1c5b04", Name: "培训教室"}}
}

// DemoDesktops are six desktops in different states. The first one has the id of the example on page ExecuteScriptOrCommand.
func DemoDesktops() []Desktop {
	pool := DemoPools()[0].ID
	day := func(n int) time.Time { return time.Date(2026, time.September, n, 1, 30, 0, 0, time.UTC) }
	return []Desktop{
		{
			ID: "eb4ccd3e-170f-48ec-9715-ec0457df376f", Name: "研发-张伟-01", HostName: "dev-zhangwei-01",
			IP: "172.16.4.11", User: "zhangwei", LoginStatus: "CONNECTED", Zone: "cn-north-4a",
			Tags: []Tag{{"dept", "rd"}, {"env", "prod"}}, Created: day(1),
		},
		{
			ID: "5b0a6c52-93c4-4b7e-8f21-7d0e6a4b9c13", Name: "dev-linux-02", HostName: "dev-linux-02",
			IP: "172.16.4.12", User: "liming", LoginStatus: "REGISTERED", Zone: "cn-north-4a",
			Tags: []Tag{{"dept", "rd"}, {"env", "test"}}, Created: day(2),
		},
		{
			ID: "a7e3d914-2c68-4f0b-b5d7-18c94e6f2a35", Name: "财务-李娜", HostName: "FIN-LINA", OS: "Windows",
			IP: "172.16.8.21", User: "lina", LoginStatus: "DISCONNECTED", Zone: "cn-north-4b",
			Tags: []Tag{{"dept", "finance"}}, Created: day(7),
		},
		{
			ID: "3f8d1b76-e045-4c92-9a6e-b21f5d7c0e48", Name: "win-sales-04", HostName: "WIN-SALES-04", OS: "Windows",
			IP: "172.16.8.22", User: "wangfang", Status: DesktopShutoff, LoginStatus: "UNREGISTER", Zone: "cn-north-4b",
			Tags: []Tag{{"dept", "sales"}}, Created: day(9),
		},
		{
			ID: "d2c95e07-4a1b-4863-8e7f-60b3a9d4f157", Name: "培训-01", HostName: "train-01", Type: "POOLED", PoolID: pool,
			IP: "172.16.12.31", LoginStatus: "REGISTERED", Zone: "cn-north-4a",
			Tags: []Tag{{"dept", "training"}}, Created: day(15),
		},
		{
			ID: "91f4a6b8-7d3e-4205-bc19-e5087c2d6f69", Name: "培训-02", HostName: "train-02", Type: "POOLED", PoolID: pool,
			IP: "172.16.12.32", Status: DesktopError, TaskStatus: "rebuilding", LoginStatus: "UNREGISTER", Zone: "cn-north-4a",
			Tags: []Tag{{"dept", "training"}}, Maintenance: true, Created: day(15),
		},
	}
}

// DemoScripts are the scripts of a Simulator that was given none. The first one has the id of the example on page
// ExecuteScriptOrCommand.
func DemoScripts() []Script {
	day := func(n int) time.Time { return time.Date(2026, time.October, n, 6, 0, 0, 0, time.UTC) }
	return []Script{
		{
			ID: "923438311391891456", Name: "disk-usage", Description: "Free space of all file systems",
			Type: Shell, Version: "1.0", Content: "#!/bin/sh\ndf -h\n", CreateTime: day(3),
		},
		{
			ID: "923438311391891472", Name: "清理临时文件", Description: "删除用户临时目录中超过七天的文件",
			Type: PowerShell, Version: "1.2", CreateTime: day(5), UpdateTime: day(11),
			Content: "Get-ChildItem $env:TEMP -Recurse |\r\n  Where-Object LastWriteTime -lt (Get-Date).AddDays(-7) |\r\n  Remove-Item -Force\r\n",
		},
		{
			ID: "923438311391891488", Name: "flush-dns", Type: Bat, Content: "ipconfig /flushdns\r\n", CreateTime: day(8),
		},
	}
}
