package simulator

// projectJSON is a project as page KeystoneListProjects has it.
type projectJSON struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	Description string            `json:"description"`
	DomainID    string            `json:"domain_id"`
	ParentID    string            `json:"parent_id"`
	IsDomain    bool              `json:"is_domain"`
	Enabled     bool              `json:"enabled"`
	Links       map[string]string `json:"links"`
}

// listProjects is page KeystoneListProjects. The name is compared exactly:
// clients look for the one project that a region has of its own.
func (c *call) listProjects() reply {
	name := c.query.text("name", 64)
	if out, ok := c.query.verdict(); !ok {
		return out
	}
	projects := []projectJSON{}
	for _, p := range c.sim.account.Projects {
		if name != "" && p.Name != name {
			continue
		}
		projects = append(projects, projectJSON{
			ID: p.ID, Name: p.Name, DomainID: c.sim.account.DomainID, ParentID: c.sim.account.DomainID,
			Enabled: true, Links: map[string]string{"self": c.sim.url + "/v3/projects/" + p.ID},
		})
	}
	return ok(map[string]any{
		"projects": projects,
		"links":    map[string]string{"self": c.sim.url + "/v3/projects"},
	})
}
