package simulator

import (
	"fmt"
	"strconv"
	"time"
)

// row is an instance as the list and detail operations send it; fields and their order are those of the sample of page
// container/query.
type row struct {
	ID                     string `json:"id"`
	HeaderNotebookID       string `json:"headerNotebookId"`
	InstanceServiceName    string `json:"instanceServiceName"`
	CurrentIndex           int    `json:"currentIndex"`
	GPUNumber              int    `json:"gpuNumber"`
	CPUNumber              int    `json:"cpuNumber"`
	RAMSize                int    `json:"ramSize"`
	AcceleratorType        string `json:"acceleratorType"`
	ResourceGroup          string `json:"resourceGroup"`
	ResourceSpec           string `json:"resourceSpec"`
	TaskNumber             any    `json:"taskNumber"`
	TimeoutLimit           string `json:"timeoutLimit"`
	UserName               string `json:"userName"`
	Version                string `json:"version"`
	ImagePath              string `json:"imagePath"`
	Status                 string `json:"status"`
	TaskType               string `json:"taskType"`
	Description            string `json:"description"`
	CreateTime             any    `json:"createTime"`
	StartTime              any    `json:"startTime"`
	EndTime                any    `json:"endTime"`
	Duration               string `json:"duration"`
	RemainingTime          string `json:"remainingTime"`
	TensorboardID          any    `json:"tensorboardId"`
	TensorboardPath        any    `json:"tensorboardPath"`
	MountInfoList          any    `json:"mountInfoList"`
	ContainerPortInfoList  any    `json:"containerPortInfoList"`
	UseStartScript         bool   `json:"useStartScript"`
	StartScriptContent     string `json:"startScriptContent"`
	StartScriptPath        any    `json:"startScriptPath"`
	StartScriptActionScope string `json:"startScriptActionScope"`
	HeaderNotebookIP       any    `json:"headerNotebookIp"`
}

// portRow is an entry of containerPortInfoList.
type portRow struct {
	AccessURL     string `json:"accessUrl"`
	ContainerPort any    `json:"containerPort"`
	ProtocolType  string `json:"protocolType"`
}

// row renders an instance for a list or a detail answer, which differ in how they write lists without elements.
func (c *call) row(in *instance, detail bool) row {
	v := in.view(c.now, c.sim.timing)
	r := row{
		ID:                     v.ID,
		HeaderNotebookID:       v.HeaderNotebookID,
		InstanceServiceName:    v.Name,
		CurrentIndex:           v.CurrentIndex,
		GPUNumber:              v.GPUNumber,
		CPUNumber:              v.CPUNumber,
		RAMSize:                v.RAMSize,
		AcceleratorType:        v.AcceleratorType,
		ResourceGroup:          v.ResourceGroup,
		ResourceSpec:           fmt.Sprintf("%d 核心; %d 加速器; %.1fG 内存", v.CPUNumber, v.GPUNumber, float64(v.RAMSize)/1024),
		TaskNumber:             v.TaskNumber,
		TimeoutLimit:           timeLimitText(v.TimeLimit),
		UserName:               v.UserName,
		Version:                v.Version,
		ImagePath:              v.ImagePath,
		Status:                 v.Status,
		TaskType:               v.TaskType,
		Description:            v.Description,
		CreateTime:             timeText(v.CreateTime),
		StartTime:              timeText(v.StartTime),
		EndTime:                timeText(v.EndTime),
		Duration:               "--",
		RemainingTime:          "--",
		TensorboardID:          nullable(v.TensorboardID),
		TensorboardPath:        nullable(v.TensorboardPath),
		UseStartScript:         v.UseStartScript,
		StartScriptContent:     v.StartScriptContent,
		StartScriptPath:        nullable(v.StartScriptPath),
		StartScriptActionScope: v.StartScriptScope,
		HeaderNotebookIP:       nullable(v.HeaderNotebookIP),
	}
	switch {
	case v.StartTime.IsZero():
	case v.Status == Running:
		r.Duration = spanText(c.now.Sub(v.StartTime))
		if v.TimeLimit > 0 {
			r.RemainingTime = spanText(v.StartTime.Add(v.TimeLimit).Sub(c.now))
		}
	case !v.EndTime.IsZero():
		r.Duration = spanText(v.EndTime.Sub(v.StartTime))
	}
	if word, ok := c.quirks.StatusWords[r.Status]; ok {
		r.Status = word
	}
	if c.quirks.TaskNumberString {
		r.TaskNumber = strconv.Itoa(v.TaskNumber)
	}
	empty := c.quirks.EmptyLists == EmptyArray || c.quirks.EmptyLists == EmptyAsSampled && detail
	r.MountInfoList = listOrEmpty(v.Mounts, empty)
	r.ContainerPortInfoList = listOrEmpty(c.ports(v), empty)
	return r
}

func (c *call) ports(in Instance) []portRow {
	var out []portRow
	for _, p := range in.Ports {
		r := portRow{AccessURL: p.AccessURL, ContainerPort: strconv.Itoa(p.ContainerPort), ProtocolType: p.ProtocolType}
		if c.quirks.ContainerPortInt {
			r.ContainerPort = p.ContainerPort
		}
		if r.AccessURL == "" && p.ProtocolType == "HTTP" && in.Status == Running {
			r.AccessURL = serviceURL(in.ID)
		}
		out = append(out, r)
	}
	return out
}

// serviceURL is the form of public addresses of a container's own services.
func serviceURL(id string) string { return "https://c-" + id + ".ksai.scnet.cn:58043/" }

// listOrEmpty is list, or for a list without elements null or [].
func listOrEmpty[T any](list []T, empty bool) any {
	switch {
	case len(list) > 0:
		return list
	case empty:
		return []T{}
	}
	return nil
}

func nullable(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// chinaTime is the zone of all times. The pages show none; that it is China's is an assumption.
var chinaTime = time.FixedZone("CST", 8*60*60)

func timeText(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.In(chinaTime).Format(time.DateTime)
}

// timeLimitText writes a timeoutLimit: the hours may exceed 24.
func timeLimitText(d time.Duration) string {
	if d <= 0 {
		return "unlimited"
	}
	s := int(d / time.Second)
	return fmt.Sprintf("%02d:%02d:%02d", s/3600, s/60%60, s%60)
}

// parseTimeLimit reads what timeLimitText writes.
func parseTimeLimit(text string) (time.Duration, bool) {
	if text == "unlimited" {
		return 0, true
	}
	var h, m, s int
	if n, err := fmt.Sscanf(text, "%d:%02d:%02d", &h, &m, &s); n != 3 || err != nil {
		return 0, false
	}
	d := time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second
	return d, h >= 0 && h < 1e6 && d > 0 && timeLimitText(d) == text
}

// spanText writes duration and remainingTime. The pages show only "--"; this form has been seen on-premises.
func spanText(d time.Duration) string {
	m := int(max(d, 0) / time.Minute)
	return fmt.Sprintf("%dd %dh %dm", m/1440, m/60%24, m%60)
}
