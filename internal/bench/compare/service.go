package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/scnet"
	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

// rowCounts are the lengths of the lists that are asked for.
var rowCounts = []int{20, 200}

// service answers requests for lists with bytes that the simulator made, so that it costs next to nothing.
type service struct {
	url   string
	lists map[int][]byte // by rows
	http  *http.Server
}

func startService(ctx context.Context) (*service, error) {
	s := &service{lists: map[int][]byte{}}
	for _, rows := range rowCounts {
		list, err := recordList(ctx, rows)
		if err != nil {
			return nil, err
		}
		s.lists[rows] = list
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.url = "http://" + listener.Addr().String()
	s.http = &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(s.answer)}
	go func() { _ = s.http.Serve(listener) }()
	return s, nil
}

func (s *service) close() { _ = s.http.Close() }

func (s *service) answer(w http.ResponseWriter, r *http.Request) {
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	list, ok := s.lists[limit]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(list)))
	_, _ = w.Write(list)
}

// client returns a client of the service.
func (s *service) client() (*scnet.Client, error) {
	return scnet.New(scnet.Config{Token: scnet.NewSecret("bench"), AIURL: s.url})
}

// environment is what a server needs to use the service.
func (s *service) environment() []string {
	return []string{"SCNET_TOKEN=bench", "SCNET_AI_URL=" + s.url}
}

// recordList returns the answer of a simulated service with so many instances. Some have more to tell than others.
func recordList(ctx context.Context, rows int) ([]byte, error) {
	now := time.Now()
	models := simulator.DemoRegions(now)[0].Instances
	region := simulator.Region{ID: "11250", Name: "华东一区【昆山】"}
	for i := range rows {
		in := models[i%len(models)]
		in.ID, in.Name = "", fmt.Sprintf("train-%05d", i)
		region.Instances = append(region.Instances, in)
	}
	sim := simulator.New(simulator.Options{Regions: []simulator.Region{region}})
	keeper := &keeper{next: sim.Transport()}
	account := simulator.DemoAccount()
	client, err := scnet.New(scnet.Config{
		User: account.User, AccessKey: scnet.NewSecret(account.AccessKey), SecretKey: scnet.NewSecret(account.SecretKey),
		LoginURL: sim.URL(), PlatformURL: sim.URL(), Transport: keeper,
	})
	if err != nil {
		return nil, err
	}
	defer client.Close()
	only, err := client.Region(ctx, "")
	if err != nil {
		return nil, err
	}
	if _, err := only.List(ctx, scnet.ListOptions{Limit: rows}); err != nil {
		return nil, err
	}
	if keeper.list == nil {
		return nil, errors.New("no list was asked for")
	}
	return keeper.list, nil
}

// keeper keeps the answer with the list.
type keeper struct {
	next http.RoundTripper
	list []byte
}

// RoundTrip implements http.RoundTripper.
func (k *keeper) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := k.next.RoundTrip(r)
	if err != nil || !strings.HasSuffix(r.URL.Path, "/instance-service/task") {
		return resp, err
	}
	if k.list, err = io.ReadAll(resp.Body); err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(k.list))
	return resp, nil
}
