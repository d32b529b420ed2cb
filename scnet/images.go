package scnet

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"unicode/utf8"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/lenient"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

// Image is a container image (page container/getImages).
type Image struct {
	ID              string
	Name            string // with its tag, as create takes it
	Path            string // as create takes it
	Type            string // JupyterLab, CodeServer, RStudio, Base, …
	AcceleratorType string
	Status          string // "Completed" for one that can be used
	Owner           string
	Description     string
	Private         bool // of the account, not offered to all
}

// ImageOptions select images. Zero values leave a filter out.
type ImageOptions struct {
	Private         bool   // the account's own instead of those offered to all
	Name            string // part of name and tag; how it is matched is up to the service
	Type            string
	AcceleratorType string
	Start           int // rows to skip
	Limit           int // rows of one page, at least 1
}

// Images returns one page, the newest first.
func (r *Region) Images(ctx context.Context, o ImageOptions) (upstream.Page[Image], error) {
	c := call{
		op: opImages, region: r, method: http.MethodPost, url: "image/images", maxBody: maxListBody,
		header: http.Header{"Content-Type": {"application/json"}},
	}
	if o.Limit < 1 || o.Start < 0 {
		return upstream.Page[Image]{}, c.invalid(lang.Errorf("limit %d must be at least 1, start %d at least 0", o.Limit, o.Start))
	}
	for _, filter := range []string{o.Name, o.Type, o.AcceleratorType} {
		if n := utf8.RuneCountInString(filter); n > maxFilter {
			return upstream.Page[Image]{}, c.invalid(lang.Errorf("a filter has %d characters, at most %d are sent", n, maxFilter))
		}
	}
	access := "public"
	if o.Private {
		access = "private"
	}
	var err error
	c.body, err = json.Marshal(struct {
		Access          string `json:"access"`
		OrderBy         string `json:"orderBy"`
		Sort            string `json:"sort"`
		Start           int    `json:"start"`
		Limit           int    `json:"limit"`
		Name            string `json:"name,omitempty"`
		Type            string `json:"type,omitempty"`
		AcceleratorType string `json:"acceleratorType,omitempty"`
	}{access, "create_time", "DESC", o.Start, o.Limit, o.Name, o.Type, o.AcceleratorType})
	if err != nil {
		return upstream.Page[Image]{}, c.invalid(err)
	}
	env, err := r.do(ctx, c)
	if err != nil {
		return upstream.Page[Image]{}, err
	}
	page, err := decodeImages(env, o)
	if err != nil {
		return upstream.Page[Image]{}, c.useless(err)
	}
	return page, nil
}

// ImagePages yields page after page from o.Start on, each image once; see upstream.Walk.
func (r *Region) ImagePages(ctx context.Context, o ImageOptions) iter.Seq2[upstream.Page[Image], error] {
	return upstream.Walk(o.Start, func(start, limit int) (upstream.Page[Image], error) {
		each := o
		each.Start = start
		if limit > 0 {
			each.Limit = limit
		}
		return r.Images(ctx, each)
	}, func(i Image) string { return i.ID + " " + i.Path })
}

// imageRow is an image as clients have seen it.
type imageRow struct {
	ID              text `json:"id"`
	Name            text `json:"name"`
	Tag             text `json:"tag"`
	Version         text `json:"version"`
	Path            text `json:"path"`
	Type            text `json:"type"`
	AcceleratorType text `json:"acceleratorType"`
	Status          text `json:"status"`
	User            text `json:"user"`
	Description     text `json:"description"`
}

func (row imageRow) image(private bool) Image {
	name := string(firstText(row.Version, row.Name))
	if row.Version == "" && row.Tag != "" {
		name += ":" + string(row.Tag)
	}
	return Image{
		ID: string(row.ID), Name: name, Path: string(row.Path), Type: string(row.Type),
		AcceleratorType: string(row.AcceleratorType), Status: string(row.Status),
		Owner: string(row.User), Description: string(row.Description), Private: private,
	}
}

// decodeImages reads a page. The list is data.data by the page, and data.records in what a client has seen.
func decodeImages(env envelope, o ImageOptions) (upstream.Page[Image], error) {
	page := upstream.Page[Image]{Start: o.Start, Total: -1, Rows: []Image{}}
	total := env.Total
	rows := env.Data
	var nested struct {
		Data    json.RawMessage `json:"data"`
		Records json.RawMessage `json:"records"`
		Total   *number         `json:"total"`
	}
	if lenient.Unmarshal(env.Data, &nested) == nil {
		rows = nested.Data
		if len(rows) == 0 {
			rows = nested.Records
		}
		if nested.Total != nil {
			total = nested.Total
		}
	}
	var elements []json.RawMessage
	if !isNull(rows) && lenient.Unmarshal(rows, &elements) != nil || isNull(rows) && total == nil {
		return page, lang.Errorf("%w: there is no list of images in it", ErrMalformed)
	}
	page.Received = len(elements)
	for _, raw := range elements {
		var row imageRow
		if lenient.Unmarshal(raw, &row) == nil && row.Path != "" && (row.Version != "" || row.Name != "") {
			page.Rows = append(page.Rows, row.image(o.Private))
		}
	}
	page.Nameless = len(elements) - len(page.Rows)
	if total != nil && int(*total) >= len(elements) {
		page.Total = int(*total)
	}
	if len(elements) > 0 && len(page.Rows) == 0 {
		return page, lang.Errorf("%w: none of %d images has a name and a path", ErrMalformed, len(elements))
	}
	return page, nil
}
