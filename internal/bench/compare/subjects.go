package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/scnet-mcp/scnet-mcp/scnet"
)

// What a subject is called that others are compared with.
const (
	echoOverStdio = "bare mcp-go, stdio"
	echoOverHTTP  = "bare mcp-go, HTTP"
	onePass       = "one decoding pass"
)

// subjectsOf starts everything that is measured. Those that have started come back with an error, too.
func subjectsOf(ctx context.Context, s settings, service *service) (subjects []subject, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	add := func(each ...subject) { subjects = append(subjects, each...) }
	bare, err := startStdio(ctx, []string{self, "echo"}, nil)
	if err != nil {
		return subjects, err
	}
	const say = `{"text":"hello"}`
	add(subject{name: echoOverStdio, pid: bare.cmd.Process.Pid, close: bare.close,
		call: func(context.Context) error { return bare.call("echo", say) }})
	ours, err := startStdio(ctx, []string{s.server, "serve"}, service.environment())
	if err != nil {
		return subjects, err
	}
	for _, rows := range rowCounts {
		add(subject{name: "list_instances, stdio", rows: rows, pid: ours.cmd.Process.Pid, close: ours.close,
			call: func(context.Context) error { return ours.call("list_instances", limited(rows)) }})
	}
	bareHTTP, err := startHTTP(ctx, []string{self, "echo"}, nil)
	if err != nil {
		return subjects, err
	}
	add(subject{name: echoOverHTTP, pid: bareHTTP.cmd.Process.Pid, close: bareHTTP.close,
		call: func(ctx context.Context) error { return bareHTTP.call(ctx, "echo", say) }})
	oursHTTP, err := startHTTP(ctx, []string{s.server, "serve", "--transport", "http", "--requests-per-second", "1000000",
		"--audit-log", "off", "--listen"}, service.environment())
	if err != nil {
		return subjects, err
	}
	for _, rows := range rowCounts {
		add(subject{name: "list_instances, HTTP", rows: rows, pid: oursHTTP.cmd.Process.Pid, close: oursHTTP.close,
			call: func(ctx context.Context) error { return oursHTTP.call(ctx, "list_instances", limited(rows)) }})
	}
	peers, err := peersOf(ctx, s)
	if add(peers...); err != nil {
		return subjects, err
	}
	parts, err := partsOf(service)
	add(parts...)
	return subjects, err
}

// peersOf starts the other server, over each transport that there is a command for.
func peersOf(ctx context.Context, s settings) (subjects []subject, err error) {
	if s.peer != "" {
		peer, err := startStdio(ctx, strings.Fields(s.peer), nil)
		if err != nil {
			return nil, err
		}
		subjects = append(subjects, subject{name: s.tool + " of the peer, stdio", pid: peer.cmd.Process.Pid, close: peer.close,
			call: func(context.Context) error { return peer.call(s.tool, s.arguments) }})
	}
	if s.peerHTTP != "" {
		peer, err := startHTTP(ctx, strings.Fields(s.peerHTTP), nil)
		if err != nil {
			return subjects, err
		}
		subjects = append(subjects, subject{name: s.tool + " of the peer, HTTP", pid: peer.cmd.Process.Pid, close: peer.close,
			call: func(ctx context.Context) error { return peer.call(ctx, s.tool, s.arguments) }})
	}
	return subjects, nil
}

func limited(rows int) string { return fmt.Sprintf(`{"limit":%d}`, rows) }

// partsOf are what a call cannot do without: the request to the service, and one pass through its answer.
func partsOf(service *service) (subjects []subject, err error) {
	client, err := service.client()
	if err != nil {
		return nil, err
	}
	for _, rows := range rowCounts {
		subjects = append(subjects, subject{
			name: "the request alone, with the service", rows: rows, close: client.Close,
			call: func(ctx context.Context) error { return request(ctx, client, rows) },
		}, subject{
			name: onePass, rows: rows, alone: true, close: func() {},
			call: func(context.Context) error { return decode(service.lists[rows], rows) },
		})
	}
	return subjects, nil
}

func request(ctx context.Context, client *scnet.Client, rows int) error {
	region, err := client.Region(ctx, "")
	if err != nil {
		return err
	}
	page, err := region.List(ctx, scnet.ListOptions{Limit: rows})
	if err == nil && len(page.Rows) != rows {
		err = fmt.Errorf("%d rows", len(page.Rows))
	}
	return err
}

// decode goes through a list once, into plain fields.
func decode(list []byte, rows int) error {
	var answer struct {
		Code  string `json:"code"`
		Total int    `json:"total"`
		Data  []struct {
			ID              string `json:"id"`
			Name            string `json:"instanceServiceName"`
			Status          string `json:"status"`
			TaskType        string `json:"taskType"`
			AcceleratorType string `json:"acceleratorType"`
			Accelerators    int    `json:"gpuNumber"`
			CPUs            int    `json:"cpuNumber"`
			Memory          int    `json:"ramSize"`
			ResourceGroup   string `json:"resourceGroup"`
			ResourceSpec    string `json:"resourceSpec"`
			Containers      any    `json:"taskNumber"`
			TimeLimit       string `json:"timeoutLimit"`
			Owner           string `json:"userName"`
			Image           string `json:"version"`
			ImagePath       string `json:"imagePath"`
			Description     string `json:"description"`
			Created         any    `json:"createTime"`
			Started         any    `json:"startTime"`
			Ended           any    `json:"endTime"`
			Duration        string `json:"duration"`
			Remaining       string `json:"remainingTime"`
			Script          string `json:"startScriptContent"`
			Mounts          []struct {
				Source string `json:"sourcePath"`
				Target string `json:"targetPath"`
				Type   string `json:"type"`
			} `json:"mountInfoList"`
			Ports []struct {
				URL      string `json:"accessUrl"`
				Port     any    `json:"containerPort"`
				Protocol string `json:"protocolType"`
			} `json:"containerPortInfoList"`
		} `json:"data"`
	}
	err := json.Unmarshal(list, &answer)
	if err == nil && len(answer.Data) != rows {
		err = fmt.Errorf("%d rows", len(answer.Data))
	}
	return err
}
