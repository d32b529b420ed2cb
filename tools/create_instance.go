package tools

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/schemas"
	"github.com/scnet-mcp/scnet-mcp/scnet"
)

// CreateInstanceInput are the arguments of create_instance.
type CreateInstanceInput struct {
	Name             string     `json:"name" audit:"plain" jsonschema_description:"Name of the new instance"`
	Like             string     `json:"like,omitempty" audit:"plain" jsonschema_description:"Instance (id or name) to copy from, start script too. What else is given here replaces what it has"`
	Region           string     `json:"region,omitempty" audit:"plain" jsonschema_description:"Region id or name"`
	TaskType         string     `json:"task_type,omitempty" audit:"plain" jsonschema:"enum=ssh,enum=jupyter,enum=codeserver,enum=rstudio" jsonschema_description:"How its user gets in"`
	AcceleratorType  string     `json:"accelerator_type,omitempty" audit:"plain" jsonschema:"enum=dcu,enum=gpu,enum=mlu,enum=cpu" jsonschema_description:"Kind of accelerator"`
	ResourceGroup    string     `json:"resource_group,omitempty" audit:"plain" jsonschema_description:"Hardware to run on: a name from list_resources kind=groups"`
	Image            string     `json:"image,omitempty" audit:"plain" jsonschema_description:"What is installed: a name from list_resources kind=images"`
	ImagePath        string     `json:"image_path,omitempty" audit:"plain" jsonschema_description:"Its path, if several have that name"`
	Containers       int        `json:"containers,omitempty" audit:"plain" jsonschema_description:"Containers, each of this size and billed; default 1"`
	Accelerators     *int       `json:"accelerators,omitempty" audit:"plain" jsonschema_description:"Accelerators of each container"`
	CPUs             int        `json:"cpus,omitempty" audit:"plain" jsonschema_description:"CPU cores of each container"`
	MemoryMB         int        `json:"memory_mb,omitempty" audit:"plain" jsonschema_description:"Memory of each container in MB"`
	TimeLimit        string     `json:"time_limit,omitempty" audit:"plain" jsonschema_description:"It is stopped after so long: 36h, 3d or HH:MM:SS. With unlimited it costs until somebody stops it"`
	Mounts           []MountArg `json:"mounts,omitempty" jsonschema_description:"Storage to mount. What is written elsewhere is lost with the instance"`
	Ports            []PortArg  `json:"ports,omitempty" jsonschema_description:"Ports to publish. An HTTP port may be open to everybody"`
	StartScript      string     `json:"start_script,omitempty" jsonschema_description:"Shell script that runs at each start"`
	StartScriptScope string     `json:"start_script_scope,omitempty" audit:"plain" jsonschema:"enum=all,enum=header" jsonschema_description:"Run it in all containers, or only in the first (header)"`
	Description      string     `json:"description,omitempty" jsonschema_description:"Free text for people"`
	WaitSeconds      int        `json:"wait_seconds,omitempty" audit:"plain" jsonschema:"minimum=0,maximum=45" jsonschema_description:"Seconds to wait until it is Running"`
	toolbox.Consent

	asked *InstanceAsked // what the plan has made of it
}

// maxName is how many characters a name may have.
const maxName = 64

// MountArg is a directory to mount.
type MountArg struct {
	Source string `json:"source" jsonschema_description:"Directory outside, from list_resources"`
	Target string `json:"target" jsonschema_description:"Directory in the container"`
	Type   string `json:"type,omitempty" jsonschema:"enum=path,enum=data" jsonschema_description:"Type, if list_resources shows one"`
}

// PortArg is a port to publish.
type PortArg struct {
	Port     int    `json:"port" jsonschema_description:"Port of the container"`
	Protocol string `json:"protocol" jsonschema:"enum=HTTP,enum=SSH" jsonschema_description:"What the port speaks"`
}

// CreateInstanceOutput is the result of create_instance.
type CreateInstanceOutput struct {
	toolbox.Changed
	InstanceID    string         `json:"instance_id,omitempty" jsonschema_description:"Of the new instance"`
	Asked         *InstanceAsked `json:"asked,omitempty" jsonschema_description:"What is asked for, with what like added"`
	LastStatus    string         `json:"last_status,omitempty" jsonschema_description:"The status last seen"`
	WaitedSeconds int            `json:"waited_seconds" jsonschema_description:"Seconds waited"`
	Note          lang.Text      `json:"note,omitzero" jsonschema_description:"What to know"`
}

func (s Instances) createInstance() toolbox.Tool {
	return toolbox.Change(toolbox.Tool{
		Name:    "create_instance",
		Title:   "Create, launch or spin up a new instance with GPUs, or clone one (创建, 新建, 新开, 申请容器实例, 再开一个一样的)",
		Example: "name=bert-train-2 like=bert-train time_limit=1天",
		Toolset: ProvisionToolset,
		Risk:    guard.Disruptive,
		Consent: guard.Preview,
		Description: "Creates and starts a container instance on SCNet (创建, 再开一个一样的), from scratch or like another; it costs money from then on. " +
			"The first call shows a preview.",
	}, toolbox.Steps[CreateInstanceInput, creation, CreateInstanceOutput]{
		Plan:    s.planCreate,
		Preview: previewCreate,
		Ask:     askCreate,
		Act:     s.actCreate,
	}, s.options()...)
}

// creation is what to create, where.
type creation struct {
	region     *scnet.Region
	wanted     scnet.NewInstance
	target     toolbox.Target
	occupation *toolbox.Occupation
	asked      InstanceAsked
}

func (s Instances) planCreate(
	ctx context.Context, policy guard.Policy, in *CreateInstanceInput,
) (plan toolbox.Plan, work creation, err error) {
	var source *scnet.Instance
	if in.Like = strings.TrimSpace(in.Like); in.Like == "" {
		work.region, err = s.region(ctx, in.Region)
	} else if l, e := s.chooseOne(ctx, policy, in.Region, in.Like); e != nil {
		err = e
	} else {
		work.region, source, in.Like = l.region, &l.instance, l.instance.ID
	}
	if err != nil {
		return plan, work, err
	}
	in.Region = work.region.ID
	var asked request
	work.wanted = asked.merge(*in, source)
	if err := asked.check(ctx, work.region, &work.wanted, source); err != nil {
		return plan, work, err
	}
	if err := asked.err(); err != nil {
		return plan, work, err
	}
	n := work.wanted
	if n.StartScript.Enabled {
		script := n.StartScript.Content.Reveal()
		digest := sha256.Sum256([]byte(script))
		plan.Script = &audit.Script{SHA256: hex.EncodeToString(digest[:]), Bytes: len(script)}
	}
	work.asked = askedOf(n, asked.notes)
	in.asked = &work.asked
	work.target = toolbox.Target{
		Name: n.Name, Place: place(work.region), Exists: true, Accelerators: work.asked.TotalAccelerators,
		Mounts: mountsOf(n.Mounts),
		Effect: lang.T("created and started"), Bound: []string{fingerprint(n)},
	}
	plan.Targets = []toolbox.Target{work.target}
	guarded := work.target
	guarded.ID = "new" // it has none yet, which is not the same as one that is not known
	plan.Guarded = []toolbox.Target{guarded}
	work.occupation = s.occupation(work.asked.TotalAccelerators, work.asked.TotalAccelerators)
	plan.Occupies = work.occupation
	plan.Effect = createEffect(work.region, n, work.asked)
	return plan, work, nil
}

// merge puts together what the call says and what source has.
func (r *request) merge(in CreateInstanceInput, source *scnet.Instance) scnet.NewInstance {
	n := scnet.NewInstance{
		Name: strings.TrimSpace(in.Name), TaskType: in.TaskType, AcceleratorType: in.AcceleratorType,
		ResourceGroup: in.ResourceGroup,
		Image:         in.Image, ImagePath: in.ImagePath, Containers: in.Containers, Description: in.Description,
		Size: scnet.Size{CPUs: in.CPUs, MemoryMB: in.MemoryMB},
	}
	limit := in.TimeLimit
	if in.Accelerators != nil {
		n.Size.Accelerators = *in.Accelerators
	}
	for _, m := range in.Mounts {
		n.Mounts = append(n.Mounts, scnet.Mount{Source: m.Source, Target: m.Target, Type: m.Type})
	}
	for _, p := range in.Ports {
		n.Ports = append(n.Ports, scnet.NewPort{Container: p.Port, Protocol: p.Protocol})
	}
	n.StartScript = scnet.StartScript{Enabled: in.StartScript != "", Scope: in.StartScriptScope,
		Content: scnet.NewSecret(in.StartScript)}
	if source != nil {
		limit = r.copy(&n, in, *source)
	}
	n.Containers = cmp.Or(n.Containers, 1)
	n.StartScript.Scope = cmp.Or(n.StartScript.Scope, "all")
	r.missing(in, n, source == nil)
	var ok bool
	if n.TimeLimit, ok = spell(limit); !ok {
		r.wrong("time_limit", "say how long it may run, as HH:MM:SS, 36h or 3d, or say unlimited, got %q", text.Field(limit))
	}
	return n
}

// copy takes what the call leaves open from source, and returns the time limit to use.
func (r *request) copy(n *scnet.NewInstance, in CreateInstanceInput, source scnet.Instance) (limit string) {
	if in.Image == "" && in.ImagePath == "" {
		n.Image, n.ImagePath = source.Image, source.ImagePath
	}
	n.TaskType, n.AcceleratorType = cmp.Or(n.TaskType, source.TaskType), cmp.Or(n.AcceleratorType, source.AcceleratorType)
	n.ResourceGroup, n.Description = cmp.Or(n.ResourceGroup, source.ResourceGroup), cmp.Or(n.Description, source.Description)
	n.Containers = cmp.Or(n.Containers, source.Containers)
	n.Size.CPUs, n.Size.MemoryMB = cmp.Or(n.Size.CPUs, source.CPUs), cmp.Or(n.Size.MemoryMB, source.MemoryMB)
	if in.Accelerators == nil {
		n.Size.Accelerators = source.Accelerators
	}
	if in.Mounts == nil {
		n.Mounts = slices.Clone(source.Mounts)
	}
	if in.Ports == nil {
		n.Ports = portsOf(source)
	}
	if in.StartScript == "" && source.StartScript.Enabled {
		n.StartScript.Enabled, n.StartScript.Content = true, source.StartScript.Content
		n.StartScript.Scope = cmp.Or(n.StartScript.Scope, source.StartScript.Scope)
	}
	if source, limited := scnet.ParseTimeLimit(source.TimeLimit); in.TimeLimit == "" && limited && source > 0 {
		return scnet.TimeLimit(source)
	}
	return in.TimeLimit // that of source may be none, which costs until somebody stops it: it has to be said
}

// missing names what the call leaves open and nothing else gives.
func (r *request) missing(in CreateInstanceInput, n scnet.NewInstance, scratch bool) {
	hint := lang.T("is missing, or not in its range")
	if scratch {
		hint = lang.T("is missing, or not in its range; give it, or like with an instance to take it from")
	}
	for _, each := range []struct {
		argument string
		missing  bool
	}{
		{"name", n.Name == "" || utf8.RuneCountInString(n.Name) > maxName}, {"task_type", n.TaskType == ""}, {"accelerator_type", n.AcceleratorType == ""},
		{"resource_group", n.ResourceGroup == ""}, {"image", n.Image == "" && n.ImagePath == ""}, {"cpus", n.Size.CPUs < 1},
		{"memory_mb", n.Size.MemoryMB < 1}, {"accelerators", scratch && in.Accelerators == nil || n.Size.Accelerators < 0}, {"containers", n.Containers < 1},
	} {
		if each.missing {
			r.wrong(each.argument, "%s", hint)
		}
	}
	if n.AcceleratorType != "" && !slices.Contains(scnet.AcceleratorTypes(), n.AcceleratorType) {
		r.wrong("accelerator_type", "must be one of %s, got %q", strings.Join(scnet.AcceleratorTypes(), ", "), text.Field(n.AcceleratorType))
	}
	if n.TaskType != "" && !slices.Contains(scnet.TaskTypes(), n.TaskType) {
		r.wrong("task_type", "must be one of %s, got %q", strings.Join(scnet.TaskTypes(), ", "), text.Field(n.TaskType))
	}
}

// check holds a create to what the region offers.
func (r *request) check(ctx context.Context, region *scnet.Region, n *scnet.NewInstance, source *scnet.Instance) error {
	if n.StartScript.Enabled {
		script, err := scnet.NormalizeScript(n.StartScript.Content.Reveal())
		if err != nil {
			r.problems = append(r.problems, schemas.Problem{Path: "start_script", Text: lang.ErrorText(err).Map(text.Field)})
		}
		n.StartScript.Content = scnet.NewSecret(script)
	}
	if err := r.checkGroup(ctx, region, n.AcceleratorType, n.ResourceGroup, n.Size, n.TimeLimit); err != nil {
		return err
	}
	copied := source != nil && n.Image == source.Image && n.ImagePath == source.ImagePath
	if err := r.checkImage(ctx, region, n, copied); err != nil {
		return err
	}
	ports := map[int]bool{}
	for i, p := range n.Ports {
		if p.Container < 1 || p.Container > 65535 {
			r.wrong(fmt.Sprintf("ports[%d].port", i), "must be from 1 to 65535, got %d", p.Container)
		}
		if ports[p.Container] {
			r.wrong(fmt.Sprintf("ports[%d].port", i), "%d is published twice", p.Container)
		}
		ports[p.Container] = true
	}
	return r.checkMounts(ctx, region, n.Mounts)
}

func previewCreate(in CreateInstanceInput, _ toolbox.Plan) CreateInstanceOutput {
	return CreateInstanceOutput{Asked: in.asked}
}

func askCreate(_ CreateInstanceInput, plan toolbox.Plan) guard.Question {
	return guard.Question{Message: lang.T("This call %s", plan.Effect),
		Choices: []lang.Text{lang.T("create it"), lang.T("do not create it")}}
}

func (s Instances) actCreate(ctx context.Context, in CreateInstanceInput, work creation) (CreateInstanceOutput, error) {
	t := work.target
	out := CreateInstanceOutput{Asked: &work.asked}
	before, err := idsNamed(ctx, work.region, t.Name)
	if err != nil { // an outcome that is unknown could not be settled
		t.Fail(toolbox.OutcomeFailed, err)
		out.Targets = []toolbox.Target{t}
		return out, lang.Errorf("nothing was created, because the instances could not be listed before: %w", err)
	}
	// A write that is cut off has an unknown outcome, so cancelling waits for this one.
	id, err := work.region.Create(context.WithoutCancel(ctx), work.wanted)
	switch {
	case err != nil:
		t.Fail(toolbox.OutcomeOf(err), err)
		out.Targets = []toolbox.Target{t}
		if !toolbox.Uncertain(err) {
			return out, err
		}
		if id = out.settle(ctx, work, before, lang.T("the answer was lost")); id == "" {
			out.Next = s.listNamed(work)
			return out, nil
		}
	case id == "":
		t.Outcome = toolbox.OutcomeUnknown
		out.Targets = []toolbox.Target{t}
		if id = out.settle(ctx, work, before, lang.T("the service told no id")); id == "" {
			out.Next = s.listNamed(work)
			return out, nil
		}
	}
	t.ID, t.Outcome, t.Code = id, toolbox.Created, ""
	t.Note = out.Note
	out.Targets, out.InstanceID = []toolbox.Target{t}, text.Field(id)
	s.awaitRunning(ctx, &out, work, id, time.Duration(in.WaitSeconds)*time.Second)
	return out, nil
}

// afterCreate are the pauses between looks for an instance whose creation is not certain.
var afterCreate = []time.Duration{0, time.Second, 2 * time.Second, 4 * time.Second}

// settle looks for an instance of the name that was not there before. It returns its id, or "" when it is not known; then out
// says so.
func (out *CreateInstanceOutput) settle(ctx context.Context, work creation, before map[string]bool, why lang.Text) string {
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), settleTimeout,
		lang.Errorf("looking took longer than %s", settleTimeout))
	defer cancel()
	var found []string
	var err error
	for _, pause := range afterCreate {
		if !upstream.Wait(ctx, pause) {
			break
		}
		var now map[string]bool
		now, err = idsNamed(ctx, work.region, work.target.Name)
		found = nil
		for id := range now {
			if !before[id] {
				found = append(found, id)
			}
		}
		if err == nil && len(found) > 0 {
			break
		}
	}
	if len(found) == 1 {
		out.Note = lang.T("Although %s, an instance of that name has appeared since.", why)
		return found[0]
	}
	slices.Sort(found)
	out.State = toolbox.Unknown
	out.Note = lang.T("It may have been created all the same: %s. No instance of that name has appeared yet.", why)
	switch {
	case len(found) > 1:
		out.Note = lang.T("It may have been created: %s, and several instances of that name have appeared since: %s.", why, strings.Join(found, ", "))
	case err != nil:
		out.Note = lang.T("It may have been created all the same: %s, and looking afterwards failed: %s.", why, toolbox.Briefly(err))
	}
	return ""
}

// listNamed is the read that settles whether an instance was created.
func (s Instances) listNamed(work creation) lang.Text {
	which := lang.T("name=%q", text.Field(work.target.Name))
	if !s.SCNet.SingleRegion() {
		which = lang.And(which, lang.T("region=%s", text.Field(work.region.ID)))
	}
	return lang.T("Call list_instances with %s before creating it again: it was not sent twice, and each of two instances costs money.", which)
}

// awaitRunning looks at the new instance until it shows, and until it is Running or has ended if there is time for it.
func (s Instances) awaitRunning(
	ctx context.Context, out *CreateInstanceOutput, work creation, id string, limit time.Duration,
) {
	started := s.Now()
	var last scnet.Instance
	var err error
	for pause := firstPoll; ; pause = min(pause*2, maxPoll) {
		var in scnet.Instance
		if in, err = work.region.Detail(context.WithoutCancel(ctx), id); err == nil {
			last = in
			work.occupation.Shows(ctx)
		}
		waited := s.Now().Sub(started)
		out.WaitedSeconds = int(waited / time.Second)
		most := limit
		if last.ID == "" {
			most = max(limit, leastLook) // it should at least show
		}
		if last.Status.Is(scnet.Running) || last.ID != "" && ended(last.Status) || waited >= most {
			break
		}
		toolbox.ReportProgress(ctx, out.WaitedSeconds, int(max(limit, leastLook)/time.Second),
			lang.T("status %s", text.Dash(text.Field(string(last.Status)))))
		if !upstream.Wait(ctx, min(pause, most-waited)) {
			break
		}
	}
	out.LastStatus = text.Field(string(last.Status))
	notes := []lang.Text{out.Note}
	switch {
	case last.Status.Is(scnet.Running):
		out.State = toolbox.Done
	case last.ID == "" && errors.Is(err, scnet.ErrNotFound):
		out.State = toolbox.Waiting
		notes = append(notes, lang.T("It was accepted, but does not show yet."))
	case last.ID == "":
		out.State = toolbox.Waiting
		notes = append(notes, lang.T("It was accepted; its status could not be read: %s.", toolbox.Briefly(err)))
	case ended(last.Status):
		out.State = toolbox.Failed
		notes = append(notes, lang.T("It was created, but has ended already: it exists and is not running."))
	default:
		out.State = toolbox.Waiting
		notes = append(notes, lang.T("It was created and is not Running yet."), describeStatus(last.Status))
	}
	out.Note = lang.Sentences(notes...)
	switch out.State {
	case toolbox.Done:
	case toolbox.Failed:
		out.Next = lang.T("%s for what is known about why. Do not create it again: restart_instance starts it, delete_instances removes it.", lookAt(id, ""))
	default:
		out.Next = lang.T("%s, which waits for it. Do not create it again.", lookAt(id, "Running"))
	}
}

// Text tells what came of it.
func (out CreateInstanceOutput) Text(l lang.Lang) string {
	var what, more []lang.Text
	for _, t := range out.Targets {
		what = append(what, lang.T("%s: %s, creation of %q", out.State, string(t.Outcome), text.Field(t.Name)))
		if !t.Note.IsZero() && !strings.Contains(out.Note.String(), t.Note.String()) {
			more = append(more, lang.T("%s.", t.Note))
		}
		for _, m := range t.Mounts {
			more = append(more, lang.T("Mounted: %s.", m))
		}
	}
	if len(out.Targets) == 0 {
		what = append(what, lang.T("%s: creation of an instance", out.State))
	}
	if out.Asked != nil {
		what = []lang.Text{lang.T("%s: %s", lang.Run(what...), out.Asked.size())}
	}
	if out.InstanceID != "" {
		what = append(what, lang.T("id %s", out.InstanceID))
	}
	if out.LastStatus != "" {
		what = append(what, afterSeconds(lang.T("status %s", out.LastStatus), out.WaitedSeconds))
	}
	words := []lang.Text{lang.T("%s.", lang.Parts(what...)), out.Note}
	return lang.Sentences(append(words, more...)...).In(l)
}
