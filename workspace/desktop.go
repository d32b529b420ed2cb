package workspace

import (
	"cmp"
	"context"
	"iter"
	"net/http"
	"slices"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/lenient"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// MaxDesktopRows is how many desktops one answer may hold.
const MaxDesktopRows = 500

// System is a desktop's operating system; "" when it cannot be told.
type System string

// The systems that script types differ by.
const (
	Windows System = "Windows"
	Linux   System = "Linux"
)

// Desktop is a cloud desktop. Text is as the service sent it and not cleaned for display.
type Desktop struct {
	ID           string
	ComputerName string
	OSHostName   string
	IP           string
	Users        []string // that it is assigned to

	Status      string // ACTIVE, SHUTOFF, ERROR, HIBERNATED, or another word
	TaskStatus  string // what is being done to it, "" for nothing
	LoginStatus string // UNREGISTER, REGISTERED, CONNECTED, DISCONNECTED
	Maintenance bool

	System    System // as far as the fields of the answer tell
	OSVersion string

	Type    string // DEDICATED, POOLED, SHARED
	PoolID  string
	Zone    string
	Created Moment
}

type desktopRow struct {
	DesktopID     text       `json:"desktop_id"`
	ComputerName  text       `json:"computer_name"`
	OSHostName    text       `json:"os_host_name"`
	IPAddress     text       `json:"ip_address"`
	IPv4          text       `json:"ipv4"`
	IPAddresses   list[text] `json:"ip_addresses"`
	UserName      text       `json:"user_name"`
	UserList      list[text] `json:"user_list"`
	AttachedUsers list[struct {
		UserName text `json:"user_name"`
	}] `json:"attach_user_infos"`
	Status           text                     `json:"status"`
	TaskStatus       text                     `json:"task_status"`
	LoginStatus      text                     `json:"login_status"`
	ConnectStatus    text                     `json:"connect_status"`
	Maintenance      truth                    `json:"in_maintenance_mode"`
	UserGroup        text                     `json:"user_group"`
	OSVersion        text                     `json:"os_version"`
	Metadata         lenient.Object[metadata] `json:"metadata"`
	DesktopType      text                     `json:"desktop_type"`
	PoolID           text                     `json:"pool_id"`
	AvailabilityZone text                     `json:"availability_zone"`
	Created          Moment                   `json:"created"`
}

// metadata is the part of a desktop that tells its system.
type metadata struct {
	OSType    text `json:"os_type"` // Linux, Windows or Others
	OSVersion text `json:"desktop_os_version"`
	ImageName text `json:"image_name"`
}

func (row desktopRow) desktop() Desktop {
	d := Desktop{
		ID: string(row.DesktopID), ComputerName: string(row.ComputerName), OSHostName: string(row.OSHostName),
		IP:     first(append([]text{row.IPAddress, row.IPv4}, row.IPAddresses...)...),
		Status: string(row.Status), TaskStatus: string(row.TaskStatus), LoginStatus: first(row.LoginStatus, row.ConnectStatus),
		Maintenance: bool(row.Maintenance), System: row.system(), OSVersion: first(row.OSVersion, row.Metadata.Value.OSVersion),
		Type: string(row.DesktopType), PoolID: string(row.PoolID), Zone: string(row.AvailabilityZone), Created: row.Created,
	}
	users := append(list[text]{row.UserName}, row.UserList...)
	for _, u := range row.AttachedUsers {
		users = append(users, u.UserName)
	}
	for _, u := range texts(users) {
		if !slices.Contains(d.Users, u) {
			d.Users = append(d.Users, u)
		}
	}
	return d
}

// system reads the documented os_type first. The groups that a desktop's user can be in differ between the systems, and
// versions and image names usually say Windows; Linux has too many names to look for.
func (row desktopRow) system() System {
	switch strings.ToLower(string(row.Metadata.Value.OSType)) {
	case "windows":
		return Windows
	case "linux":
		return Linux
	}
	switch row.UserGroup {
	case "sudo", "default":
		return Linux
	case "administrators", "users":
		return Windows
	}
	for _, t := range []text{row.OSVersion, row.Metadata.Value.OSVersion, row.Metadata.Value.ImageName} {
		if strings.Contains(strings.ToLower(string(t)), "windows") {
			return Windows
		}
	}
	return ""
}

// DesktopStatuses returns the words that the status filter of operation ListDesktopsDetail is documented to take.
func DesktopStatuses() []string { return []string{"ACTIVE", "SHUTOFF", "ERROR", "HIBERNATED"} }

// DesktopSort is an order of desktops; the zero value leaves it to the service.
type DesktopSort struct{ field, direction string }

// The orders (operation ListDesktopsDetail, sort_field and sort_type).
var (
	ByName      = DesktopSort{"computer_name", "ASC"}
	NewestFirst = DesktopSort{"created", "DESC"}
	OldestFirst = DesktopSort{"created", "ASC"}
)

// DesktopFilter selects desktops (operation ListDesktopsDetail). Zero values leave a filter out.
type DesktopFilter struct {
	IDs          []string // up to 100
	ComputerName string
	IP           string
	User         string
	Status       string // one of DesktopStatuses
	PoolID       string
	Tag          string // "key=value", several joined by commas
	Sort         DesktopSort

	Offset int
	Limit  int // 1 to 500; 0 means 100
}

const opDesktops = "list the desktops"

// Desktops lists desktops. An answer of more than 1 MiB is refused, which some hundred desktops may come to.
func (c *Client) Desktops(ctx context.Context, f DesktopFilter) (Page[Desktop], error) {
	const op = opDesktops
	var p problems
	p.ids("desktop_id", f.IDs, 0, maxRows)
	p.optionalID("pool_id", f.PoolID)
	p.window(f.Offset, f.Limit, MaxDesktopRows)
	p.filters(map[string]string{
		"computer_name": f.ComputerName, "desktop_ip": f.IP, "user_name": f.User, "status": f.Status, "tag": f.Tag,
	})
	if err := p.err(); err != nil {
		return Page[Desktop]{}, (&call{op: op}).invalid(err)
	}
	if f.Limit == 0 {
		f.Limit = 100 // the service's default of 500 may be more than an answer may hold
	}
	q := queryOf(f.Offset, f.Limit)
	q.set("desktop_id", f.IDs...)
	q.set("computer_name", f.ComputerName)
	q.set("desktop_ip", f.IP)
	q.set("user_name", f.User)
	q.set("status", f.Status)
	q.set("pool_id", f.PoolID)
	q.set("tag", f.Tag)
	q.set("sort_field", f.Sort.field)
	q.set("sort_type", f.Sort.direction)
	call := &call{op: op, method: http.MethodGet, path: "/desktops/detail", query: q.values}
	return page(ctx, c, call, "desktops", f.Offset, func(row *desktopRow) (Desktop, bool) {
		return row.desktop(), row.DesktopID != ""
	})
}

// AllDesktops yields every desktop that f selects, from f.Offset on, each once; f.Limit does not matter. An error ends it;
// see upstream.Walk.
func (c *Client) AllDesktops(ctx context.Context, f DesktopFilter) iter.Seq2[Desktop, error] {
	fetch := func(start, limit int) (Page[Desktop], error) {
		f.Offset, f.Limit = start, cmp.Or(limit, maxRows)
		return c.Desktops(ctx, f)
	}
	return rows(opDesktops, upstream.Walk(f.Offset, fetch, func(d Desktop) string { return d.ID }))
}
