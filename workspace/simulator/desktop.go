package simulator

import (
	"slices"
	"strings"
	"time"
)

// Desktop is one cloud desktop (pages ListDesktops, ListDesktopsDetail).
type Desktop struct {
	ID         string // a UUID; made up when empty
	Name       string // computer_name
	HostName   string
	IP         string
	User       string
	OS         string // Windows or Linux; Linux when empty
	Status     string // ACTIVE, SHUTOFF, ERROR, HIBERNATED; ACTIVE when empty. Scripts run on ACTIVE ones only.
	TaskStatus string // for example rebooting; empty if nothing is going on
	// LoginStatus is UNREGISTER, REGISTERED, CONNECTED or DISCONNECTED.
	LoginStatus string
	Type        string // DEDICATED, SHARED or POOLED; DEDICATED when empty
	PoolID      string
	Zone        string
	Subnet      string
	Maintenance bool
	Tags        []Tag
	Created     time.Time
	// Outcome is how scripts end here, unless SetOutcome says otherwise.
	Outcome Outcome
}

// Tag is a tag of a desktop.
type Tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Pool is a desktop pool. Its desktops name it.
type Pool struct{ ID, Name string }

// The states of a desktop that page ListDesktopsDetail has.
const (
	DesktopActive     = "ACTIVE"
	DesktopShutoff    = "SHUTOFF"
	DesktopError      = "ERROR"
	DesktopHibernated = "HIBERNATED"
)

// AddDesktop adds a desktop and returns its id.
func (s *Simulator) AddDesktop(d Desktop) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	fill := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	fill(&d.OS, "Linux")
	fill(&d.Status, DesktopActive)
	fill(&d.Type, "DEDICATED")
	if d.ID == "" {
		d.ID = s.newUUID()
	}
	d.Tags = slices.Clone(d.Tags)
	s.desktops = append(s.desktops, &d)
	return d.ID
}

// Desktops returns all desktops.
func (s *Simulator) Desktops() []Desktop {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Desktop, len(s.desktops))
	for i, d := range s.desktops {
		all[i] = *d
		all[i].Tags = slices.Clone(d.Tags)
	}
	return all
}

// UpdateDesktop changes a desktop and reports whether there is one with that id. What a running task does is settled already.
func (s *Simulator) UpdateDesktop(id string, change func(*Desktop)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.desktop(id)
	if d == nil {
		return false
	}
	d.Tags = slices.Clone(d.Tags)
	change(d)
	return true
}

// desktop returns the desktop with the given id, or nil.
func (s *Simulator) desktop(id string) *Desktop {
	for _, d := range s.desktops {
		if d.ID == id {
			return d
		}
	}
	return nil
}

// tagged reports whether the desktop has all tags of a list "k=v,k2=v2". A key alone is assumed to match every value.
func (d *Desktop) tagged(list string) bool {
	for pair := range strings.SplitSeq(list, ",") {
		key, value, exact := strings.Cut(strings.TrimSpace(pair), "=")
		if !slices.ContainsFunc(d.Tags, func(t Tag) bool { return t.Key == key && (!exact || t.Value == value) }) {
			return false
		}
	}
	return true
}

// desktopJSON is a desktop in answers. The members from OSVersion on are in the detailed answers only.
type desktopJSON struct {
	DesktopID        string `json:"desktop_id"`
	ComputerName     string `json:"computer_name"`
	OSHostName       string `json:"os_host_name"`
	IPAddress        string `json:"ip_address,omitempty"`
	UserName         string `json:"user_name"`
	Status           string `json:"status"`
	TaskStatus       string `json:"task_status,omitempty"`
	ConnectStatus    string `json:"connect_status,omitempty"`
	DesktopType      string `json:"desktop_type"`
	PoolID           string `json:"pool_id,omitempty"`
	SubnetID         string `json:"subnet_id,omitempty"`
	AvailabilityZone string `json:"availability_zone"`
	Maintenance      bool   `json:"in_maintenance_mode"`
	Tags             []Tag  `json:"tags"`
	Created          string `json:"created"`
	ProjectID        string `json:"project_id,omitempty"`
	DomainID         string `json:"domain_id,omitempty"`

	IPAddresses []string          `json:"ip_addresses,omitempty"`
	LoginStatus string            `json:"login_status,omitempty"`
	UserList    []string          `json:"user_list,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"`
}

func (c *call) desktopJSON(d *Desktop, detail bool) desktopJSON {
	j := desktopJSON{
		DesktopID: d.ID, ComputerName: d.Name, OSHostName: d.HostName, UserName: d.User,
		Status: d.Status, TaskStatus: d.TaskStatus, DesktopType: d.Type, PoolID: d.PoolID, SubnetID: d.Subnet,
		AvailabilityZone: d.Zone, Maintenance: d.Maintenance, Tags: append([]Tag{}, d.Tags...),
		Created: d.Created.UTC().Format("2006-01-02T15:04:05.000Z"), // not the form of the script operations
	}
	if detail {
		j.IPAddresses, j.LoginStatus = []string{d.IP}, d.LoginStatus
		j.UserList = []string{d.User}
		j.Metadata = map[string]string{"os_type": d.OS}
		return j
	}
	j.IPAddress, j.ConnectStatus = d.IP, d.LoginStatus
	j.ProjectID, j.DomainID = c.sim.ProjectID(), c.sim.account.DomainID
	return j
}

// listDesktops is page ListDesktops.
func (c *call) listDesktops() reply { return c.desktops(false) }

// listDesktopsDetail is page ListDesktopsDetail.
func (c *call) listDesktopsDetail() reply { return c.desktops(true) }

// desktops is both lists. A limit of 0, which their pages allow, is taken at its word.
func (c *call) desktops(detail bool) reply {
	most := 1000
	if detail {
		most = 500
	}
	p := c.query.page(most, 0, most)
	keep := c.desktopFilter()
	order := func([]*Desktop) {}
	if detail {
		keep = both(keep, c.detailFilter())
		order = c.desktopOrder()
	}
	if out, ok := c.query.verdict(); !ok {
		return out
	}
	found := []*Desktop{}
	for _, d := range c.sim.desktops {
		if keep(d) {
			found = append(found, d)
		}
	}
	order(found)
	list := []desktopJSON{}
	for _, d := range cut(found, p) {
		list = append(list, c.desktopJSON(d, detail))
	}
	return ok(map[string]any{"total_count": len(found), "desktops": list})
}

// desktopFilter reads the filters of both lists. User names are documented to match in part; names and addresses are assumed
// to.
func (c *call) desktopFilter() func(*Desktop) bool {
	users := c.query.list("user_name")
	if len(c.query.values["user_names"]) > 0 {
		users = nil // user_name has no effect beside user_names
	}
	ids := c.query.list("desktop_id")
	name := c.query.text("computer_name", 255)
	ip := c.query.text("desktop_ip", 64)
	pools := commaList(c.query.text("pool_id", 4096))
	types := commaList(c.query.text("desktop_type", 255))
	subnet := c.query.text("subnet_id", 128)
	status := c.query.text("status", 128)
	tags := c.query.text("tag", 4096)
	shared, sharedSet := c.query.flag("is_share_desktop")
	return func(d *Desktop) bool {
		return among(users, func(u string) bool { return strings.Contains(d.User, u) }) &&
			among(ids, func(id string) bool { return id == d.ID }) &&
			strings.Contains(d.Name, name) && strings.Contains(d.IP, ip) &&
			among(pools, func(p string) bool { return p == d.PoolID }) &&
			among(types, func(t string) bool { return t == d.Type }) &&
			(subnet == "" || subnet == d.Subnet) &&
			(status == "" || status == d.Status) &&
			(tags == "" || d.tagged(tags)) &&
			(!sharedSet || shared == (d.Type == "SHARED"))
	}
}

// detailFilter reads the filters that only page ListDesktopsDetail has. The two lists are assumed to match whole names.
func (c *call) detailFilter() func(*Desktop) bool {
	users := c.query.list("user_names")
	names := c.query.list("computer_names")
	zone := c.query.text("availability_zone", 128)
	attached, attachedSet := c.query.flag("user_attached")
	maintenance, maintenanceSet := c.query.flag("in_maintenance_mode")
	untagged, _ := c.query.flag("without_any_tag")
	return func(d *Desktop) bool {
		return among(users, func(u string) bool { return u == d.User }) &&
			among(names, func(n string) bool { return n == d.Name }) &&
			(zone == "" || zone == d.Zone) &&
			(!attachedSet || attached == (d.User != "")) &&
			(!maintenanceSet || maintenance == d.Maintenance) &&
			(!untagged || len(d.Tags) == 0)
	}
}

// desktopOrder reads sort_field and sort_type, which the page says belong together; one without the other is assumed to do
// nothing.
func (c *call) desktopOrder() func([]*Desktop) {
	field, direction := c.query.text("sort_field", 64), c.query.text("sort_type", 64)
	if field != "" {
		c.query.word("sort_field", field, "created", "computer_name")
	}
	if direction != "" {
		c.query.word("sort_type", direction, "ASC", "DESC")
	}
	if field == "" || direction == "" {
		return func([]*Desktop) {}
	}
	return func(found []*Desktop) {
		slices.SortStableFunc(found, func(a, b *Desktop) int {
			by := a.Created.Compare(b.Created)
			if field == "computer_name" {
				by = strings.Compare(a.Name, b.Name)
			}
			if direction == "DESC" {
				by = -by
			}
			return by
		})
	}
}

func both(a, b func(*Desktop) bool) func(*Desktop) bool {
	return func(d *Desktop) bool { return a(d) && b(d) }
}

// among reports whether one of the items matches; without items everything does.
func among(items []string, match func(string) bool) bool {
	return len(items) == 0 || slices.ContainsFunc(items, match)
}

func commaList(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

// showDesktop is page ShowDesktopDetail.
func (c *call) showDesktop() reply {
	c.query.length("desktop_id", c.id, 1, 128)
	if out, ok := c.query.verdict(); !ok {
		return out
	}
	d := c.sim.desktop(c.id)
	if d == nil {
		return missing("desktop", c.id)
	}
	return ok(map[string]any{"desktop": c.desktopJSON(d, true)})
}
