// A program over the client that oapi-codegen makes of the OpenAPI document: it moves a
// batch from its file to its removal.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"time"

	"example.com/generated/api"
)

const (
	org   = "default"
	batch = "by-go"
)

var (
	ctx, cancel = context.WithTimeout(context.Background(), 5*time.Minute)
	password    = os.Getenv("PASSWORD")
	c           *api.ClientWithResponses
)

// must ends the program unless a request was answered as it should be.
func must(what string, status, want int, problem *api.Problem, err error) {
	if err != nil {
		log.Fatalf("%s: %v", what, err)
	}
	if status != want {
		log.Fatalf("%s: status %d, want %d: %+v", what, status, want, problem)
	}
	fmt.Println(what, status)
}

func await(what string, is func() bool) {
	for !is() {
		select {
		case <-ctx.Done():
			log.Fatalf("%s: not in time", what)
		case <-time.After(200 * time.Millisecond):
		}
	}
	fmt.Println(what)
}

// form is an upload as multipart: the spec as JSON, and the file.
func form(spec api.BatchSpec, csv string) (contentType string, body *bytes.Buffer) {
	body = &bytes.Buffer{}
	w := multipart.NewWriter(body)
	part, err := w.CreatePart(textproto.MIMEHeader{"Content-Disposition": {`form-data; name="spec"`}, "Content-Type": {"application/json"}})
	if err == nil {
		err = json.NewEncoder(part).Encode(spec)
	}
	if err == nil {
		part, err = w.CreateFormFile("csv", batch+".csv")
	}
	if err == nil {
		_, err = part.Write([]byte(csv))
	}
	if err != nil {
		log.Fatal(err)
	}
	_ = w.Close()
	return w.FormDataContentType(), body
}

func ptr[T any](v T) *T { return &v }

func main() {
	defer cancel()
	var err error
	c, err = api.NewClientWithResponses(os.Getenv("MAILHAUL_API"), api.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+os.Getenv("MAILHAUL_TOKEN"))
		return nil
	}))
	if err != nil {
		log.Fatal(err)
	}
	endpoints()
	create()
	run()
	prove()
	end()
}

func endpoints() {
	for name, port := range map[string]string{"go-old": os.Getenv("OLD_PORT"), "go-new": os.Getenv("NEW_PORT")} {
		n, err := strconv.ParseInt(port, 10, 64)
		if err != nil {
			log.Fatal(err)
		}
		r, err := c.CreateEndpointWithResponse(ctx, org, &api.CreateEndpointParams{}, api.NewEndpoint{
			Name: name, Host: ptr("127.0.0.1"), Port: &n, Security: ptr("none"),
		})
		must("endpoint "+name, r.StatusCode(), 201, r.ApplicationproblemJSONDefault, err)
		if r.JSON201.Parked != nil || r.JSON201.Resting != nil {
			log.Fatalf("a new endpoint rests: %+v", r.JSON201)
		}
	}
	t, err := c.TestEndpointWithResponse(ctx, org, "go-old", &api.TestEndpointParams{}, api.EndpointTest{User: ptr("m0000"), Password: &password})
	must("test of an endpoint", t.StatusCode(), 200, t.ApplicationproblemJSONDefault, err)
	if last := t.JSON200.Stages[len(t.JSON200.Stages)-1]; last.Name != "LIST" || !last.Ok {
		log.Fatalf("the test ended with %+v", last)
	}
	l, err := c.ListEndpointsWithResponse(ctx, org, &api.ListEndpointsParams{Limit: ptr[int64](1)})
	must("a page of endpoints", l.StatusCode(), 200, l.ApplicationproblemJSONDefault, err)
	if len(l.JSON200.Items) != 1 || l.JSON200.NextCursor == "" {
		log.Fatalf("a page of one is %+v", l.JSON200)
	}
}

func create() {
	spec := api.BatchSpec{Name: ptr(batch), SourceEndpoint: ptr("go-old"), TargetEndpoint: ptr("go-new"), ExcludeFolders: &[]string{"#Junk#"}}
	kind, body := form(spec, "EmailAddress,UserName,Password\nm0000,m0000,x\n")
	r, err := c.CreateBatchWithBodyWithResponse(ctx, org, &api.CreateBatchParams{}, kind, body)
	must("a file with mistakes", r.StatusCode(), 422, r.ApplicationproblemJSONDefault, err)
	if p := r.ApplicationproblemJSONDefault; p.Code != "CsvInvalid" || p.Problems == nil || *(*p.Problems)[0].Line != 2 || p.Remedy == "" {
		log.Fatalf("its problems are %+v", p)
	}
	good := "EmailAddress,UserName,Password,TargetPassword\n"
	for i := range 3 {
		pw := password
		if i == 2 {
			pw = "wrong"
		}
		good += fmt.Sprintf("go%d@example.com,m%04d,%s,%s\n", i, i, pw, password)
	}
	kind, body = form(spec, good)
	r, err = c.CreateBatchWithBodyWithResponse(ctx, org, &api.CreateBatchParams{DryRun: ptr(true)}, kind, body)
	must("a dry run", r.StatusCode(), 200, r.ApplicationproblemJSONDefault, err)
	if r.JSON200.Mailboxes != 3 {
		log.Fatalf("it says %+v", r.JSON200)
	}
	kind, body = form(spec, good)
	r, err = c.CreateBatchWithBodyWithResponse(ctx, org, &api.CreateBatchParams{IdempotencyKey: ptr(fmt.Sprint("go-", time.Now().UnixNano()))}, kind, body)
	must("the batch", r.StatusCode(), 201, r.ApplicationproblemJSONDefault, err)
	if r.JSON201.Status != "Created" || r.JSON201.Counts["total"] != 3 || r.JSON201.StartedAt != nil {
		log.Fatalf("it is %+v", r.JSON201)
	}
}

func status() string {
	r, err := c.GetBatchWithResponse(ctx, org, batch)
	if err != nil || r.JSON200 == nil {
		log.Fatalf("look at the batch: %v %+v", err, r)
	}
	return r.JSON200.Status
}

func run() {
	s, err := c.StartBatchWithResponse(ctx, org, batch, nil)
	must("start", s.StatusCode(), 200, s.ApplicationproblemJSONDefault, err)
	await("synced, with an error", func() bool { return status() == "SyncedWithErrors" })
	u, err := c.ListUsersWithResponse(ctx, org, batch, &api.ListUsersParams{Status: ptr("NeedsCredentials")})
	must("who needs credentials", u.StatusCode(), 200, u.ApplicationproblemJSONDefault, err)
	if len(u.JSON200.Items) != 1 || u.JSON200.Items[0].Code != "AuthFailed" || u.JSON200.Items[0].LastSyncedAt != nil {
		log.Fatalf("they are %+v", u.JSON200)
	}
	email := u.JSON200.Items[0].EmailAddress
	w, err := c.WhyUserWithResponse(ctx, org, batch, email)
	must("why", w.StatusCode(), 200, w.ApplicationproblemJSONDefault, err)
	p, err := c.SetCredentialsWithResponse(ctx, org, batch, email, nil, api.Credentials{Password: &password})
	must("credentials", p.StatusCode(), 200, p.ApplicationproblemJSONDefault, err)
	follow(3)
	await("synced", func() bool { return status() == "Synced" })
}

// follow reads the stream of events until n users are synced. No generator makes a
// client of a stream: the raw answer is what oapi-codegen gives.
func follow(n int) {
	r, err := c.ClientInterface.(*api.Client).Events(ctx, org, batch, &api.EventsParams{})
	if err != nil || r.StatusCode != 200 {
		log.Fatalf("events: %v %v", r, err)
	}
	defer r.Body.Close()
	for lines := bufio.NewScanner(r.Body); lines.Scan(); {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var e api.Event
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			log.Fatalf("event %s: %v", data, err)
		}
		if e.Kind == "user.synced" {
			n--
		}
		if n == 0 {
			fmt.Println("events, to", e.Id)
			return
		}
	}
	log.Fatal("the events ended")
}

func prove() {
	v, err := c.VerifyBatchWithResponse(ctx, org, batch, nil)
	must("verify", v.StatusCode(), 200, v.ApplicationproblemJSONDefault, err)
	await("receipts", func() bool {
		r, err := c.ReportWithResponse(ctx, org, batch, api.Receipts, &api.ReportParams{Format: ptr(api.Json)})
		if err != nil || r.JSON200 == nil {
			log.Fatalf("receipts: %v %s", err, r.Body)
		}
		same := 0
		for _, row := range r.JSON200.Items {
			if row["same"] == true {
				same++
			}
		}
		return same == 3
	})
	for _, format := range []api.ReportParamsFormat{api.Csv, api.Json, api.Html} {
		r, err := c.ReportWithResponse(ctx, org, batch, api.Statistics, &api.ReportParams{Format: &format})
		must("statistics as "+string(format), r.StatusCode(), 200, r.ApplicationproblemJSONDefault, err)
		if !strings.Contains(string(r.Body), "go1@example.com") {
			log.Fatalf("they are %s", r.Body)
		}
	}
	i, err := c.ListItemsWithResponse(ctx, org, batch, &api.ListItemsParams{})
	must("items", i.StatusCode(), 200, i.ApplicationproblemJSONDefault, err)
	a, err := c.AddUsersWithResponse(ctx, org, batch, nil, api.UploadJSON{Csv: "EmailAddress,UserName\ngo0@example.com,m0000\n"})
	must("the same user again", a.StatusCode(), 422, a.ApplicationproblemJSONDefault, err)
	a, err = c.AddUsersWithResponse(ctx, org, batch, nil, api.UploadJSON{Csv: "EmailAddress,UserName,Password\ngo0@example.com,m0000,\n"})
	must("the same user again, with all columns", a.StatusCode(), 200, a.ApplicationproblemJSONDefault, err)
	if a.JSON200.Unchanged != 1 {
		log.Fatalf("it is %+v", a.JSON200)
	}
	g, err := c.GetUsageWithResponse(ctx, org)
	must("usage", g.StatusCode(), 200, g.ApplicationproblemJSONDefault, err)
}

func end() {
	f, err := c.CompleteBatchWithResponse(ctx, org, batch, nil, api.Completion{})
	must("complete", f.StatusCode(), 200, f.ApplicationproblemJSONDefault, err)
	await("completed", func() bool { return status() == "Completed" })
	d, err := c.RemoveBatchWithResponse(ctx, org, batch, &api.RemoveBatchParams{})
	must("removal without a word", d.StatusCode(), 409, d.ApplicationproblemJSONDefault, err)
	d, err = c.RemoveBatchWithResponse(ctx, org, batch, &api.RemoveBatchParams{Force: ptr(true)})
	if err != nil || d.StatusCode() != 204 && d.StatusCode() != 202 {
		log.Fatalf("removal: %v %s", err, d.Body)
	}
	await("removed", func() bool {
		r, err := c.GetBatchWithResponse(ctx, org, batch)
		return err == nil && r.StatusCode() == 404
	})
	for _, name := range []string{"go-old", "go-new"} {
		r, err := c.DeleteEndpointWithResponse(ctx, org, name)
		must("endpoint "+name+" deleted", r.StatusCode(), 204, r.ApplicationproblemJSONDefault, err)
	}
}
