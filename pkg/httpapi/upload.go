package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/control"
)

// upload is a CSV file with what was said about it.
type upload struct {
	spec client.BatchSpec
	file control.File
}

// uploadJSON is an upload as JSON.
type uploadJSON struct {
	client.BatchSpec
	CSV *string `json:"csv" nullable:"false" doc:"the CSV file"`
}

// uploadForm is an upload as multipart: what the document tells of it.
type uploadForm struct {
	Spec client.BatchSpec `json:"spec,omitempty" doc:"the spec"`
	CSV  string           `json:"csv" format:"binary" doc:"the CSV file"`
}

// parseUpload takes a body apart: multipart with the parts spec and csv, JSON with the
// file in a string, or the file alone.
func parseUpload(contentType string, body []byte) (upload, error) {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return upload{}, invalid("Content-Type: multipart/form-data, application/json or text/csv is expected")
	}
	var u upload
	switch kind {
	case "multipart/form-data":
		err = u.multipart(body, params["boundary"])
	case "application/json":
		err = u.json(body)
	case "text/csv":
		u.file.CSV = body
	default:
		err = invalid("Content-Type: multipart/form-data, application/json or text/csv is expected")
	}
	u.file.Encoding, u.file.AllowUnknownColumns = u.spec.Encoding, u.spec.AllowUnknownColumns
	return u, err
}

func (u *upload) multipart(body []byte, boundary string) error {
	form := multipart.NewReader(bytes.NewReader(body), boundary)
	seen := map[string]bool{}
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return invalid("the multipart body is broken, or broke off")
		}
		name := part.FormName()
		if name != "spec" && name != "csv" || seen[name] {
			return invalid("the multipart body has the parts spec and csv, each once")
		}
		seen[name] = true
		content, err := io.ReadAll(part)
		if err != nil {
			return invalid("the multipart body is broken, or broke off")
		}
		if name == "csv" {
			u.file.CSV, u.file.FileName = content, part.FileName()
			continue
		}
		if err := decode(content, &u.spec); err != nil {
			return err
		}
	}
	if !seen["csv"] {
		return invalid("the part csv is missing")
	}
	return nil
}

func (u *upload) json(body []byte) error {
	var in uploadJSON
	if err := decode(body, &in); err != nil {
		return err
	}
	if in.CSV == nil {
		return invalid("csv is missing: the file as a string")
	}
	u.spec, u.file.CSV = in.BatchSpec, []byte(*in.CSV)
	return nil
}

// decode reads JSON strictly. What was in the body is not repeated in the error: it
// holds passwords.
func decode(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		return invalid("the JSON has something after its end")
	}
	var kind *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &kind):
		return invalid(fmt.Sprintf("the JSON field %q has the wrong type", kind.Field))
	case errors.As(err, &syntax):
		return invalid(fmt.Sprintf("the JSON is broken at byte %d", syntax.Offset))
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return invalid("the JSON breaks off")
	default:
		return invalid("the JSON has an unknown field, or a time that is not RFC 3339")
	}
}
