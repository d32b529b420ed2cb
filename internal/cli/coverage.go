package cli

import (
	"context"
	"fmt"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/workspace"
)

const (
	// maxListedTargets bounds how many instances of a region are looked at to tell what rules match.
	maxListedTargets = 1000
	maxShownTargets  = 5
)

// targetsOf returns what rules can be about today: the instances of every usable region, and the desktops.
func targetsOf(ctx context.Context, service services) (targets []guard.Target, err error) {
	if service.SCNet != nil {
		if targets, err = instancesOf(ctx, service.SCNet); err != nil {
			return nil, err
		}
	}
	if service.Workspace == nil {
		return targets, nil
	}
	page, err := service.Workspace.Desktops(ctx, workspace.DesktopFilter{})
	for _, d := range page.Rows {
		place := service.Workspace.Place()
		targets = append(targets, guard.Target{ID: d.ID, Name: d.ComputerName, Region: place, RegionName: place})
	}
	return targets, err
}

func instancesOf(ctx context.Context, client *scnet.Client) (targets []guard.Target, err error) {
	regions, err := client.Regions(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range regions {
		if r.Suspended {
			continue
		}
		listed := 0
		for page, err := range r.Pages(ctx, scnet.ListOptions{Limit: 100}) {
			if err != nil {
				return nil, err
			}
			for _, in := range page.Rows {
				targets = append(targets, guard.Target{ID: in.ID, Name: in.Name, Region: r.ID, RegionName: r.Name})
			}
			if listed += len(page.Rows); listed >= maxListedTargets {
				break
			}
		}
	}
	return targets, nil
}

// coverageText says what one rule matches today. A rule that matches nothing may be a mistake.
func coverageText(c guard.Coverage, of int) lang.Text {
	rule := fmt.Sprintf("%s %s", c.Rule, text.Line(c.Pattern.String(), 80))
	if len(c.Targets) == 0 {
		return lang.T("%s: matches none of today's %d; is it spelt right?", rule, of)
	}
	var names []lang.Text
	for i, t := range c.Targets {
		if i == maxShownTargets {
			names = append(names, lang.T("and %d more", len(c.Targets)-i))
			break
		}
		names = append(names, lang.T("%s", t))
	}
	return lang.T("%s: matches %d of today's %d: %s", rule, len(c.Targets), of, lang.List(names...))
}

// writeCoverage writes what each rule of a policy matches among targets.
func writeCoverage(streams Streams, policy guard.Policy, targets []guard.Target) error {
	for _, c := range policy.Explain(targets) {
		if _, err := fmt.Fprintf(streams.Out, "  %s\n", coverageText(c, len(targets)).In(streams.Lang)); err != nil {
			return err
		}
	}
	return nil
}

// policy says what each of the operator's rules matches today.
func (e *examination) policy(ctx context.Context, service services) {
	if service.Policy.AllowAccessURLs {
		e.note("policy", lang.Text{}, "the access address of an instance is shown to those who ask for it; anyone with the address can use the instance")
	}
	if len(service.Policy.Explain(nil)) == 0 || service.SCNet == nil && service.Workspace == nil {
		return
	}
	targets, err := within(ctx, func(ctx context.Context) ([]guard.Target, error) { return targetsOf(ctx, service) })
	if err != nil {
		e.note("policy", lang.Text{}, "what the rules match cannot be told: %v", err)
		return
	}
	for _, c := range service.Policy.Explain(targets) {
		if say := coverageText(c, len(targets)); len(c.Targets) == 0 {
			e.note("policy", lang.Text{}, "%s", say)
		} else {
			e.ok("policy", "%s", say)
		}
	}
}
