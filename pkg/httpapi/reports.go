package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/zap"

	"github.com/mailhaul/mailhaul/pkg/control"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/report"
)

func (a *api) reportRoutes() {
	route(a, migration.Viewer, http.MethodGet, batchPath+"/reports/{report}", "report", "A batch's statistics, errors, items or receipts",
		func(ctx context.Context, who control.Actor, in *struct {
			BatchPath
			Report string `path:"report" doc:"statistics, errors, items or receipts"`
			Format string `query:"format" default:"csv" doc:"csv, json or html"`
		},
		) (*huma.StreamResponse, error) {
			kind, format := report.Kind(in.Report), report.Format(in.Format)
			write, err := a.Control.Report(ctx, who, in.Org, in.Name, kind, format)
			if err != nil {
				return nil, err
			}
			return &huma.StreamResponse{Body: func(out huma.Context) {
				out.SetHeader("Content-Type", format.ContentType())
				// A page is kept and printed; shown from here it could do nothing anyway.
				out.SetHeader("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
				out.SetHeader("X-Content-Type-Options", "nosniff")
				out.SetHeader("Content-Disposition", `attachment; filename="`+in.Name+"-"+in.Report+"."+in.Format+`"`)
				if err := write(out.BodyWriter()); err != nil {
					a.Log.Error("report broke off", zap.String("report", in.Report), zap.Error(err))
					// Half a report must not look like a whole one.
					panic(http.ErrAbortHandler)
				}
			}}, nil
		}, streams("text/csv", "application/json", "text/html"))
	a.describeReports(batchPath + "/reports/{report}")
}
