// A program over the client that openapi-typescript makes of the OpenAPI document, with
// openapi-fetch: it moves a batch from its file to its removal.
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

type Schemas = components["schemas"];

const org = "default";
const name = "by-typescript";
const env = (key: string): string => process.env[key] ?? fail(`${key} is not set`);
const password = env("PASSWORD");
const client = createClient<paths>({
  baseUrl: env("MAILHAUL_API"),
  headers: { Authorization: `Bearer ${env("MAILHAUL_TOKEN")}` },
});
const batch = { params: { path: { org, name } } };

function fail(why: string): never {
  console.error(why);
  process.exit(1);
}

// must returns what was answered, and ends the program unless it was as it should be.
function must<T>(what: string, want: number, r: { data?: T; error?: Schemas["Problem"]; response: Response }): T {
  if (r.response.status !== want) fail(`${what}: ${r.response.status}, want ${want}: ${JSON.stringify(r.error)}`);
  console.log(what, want);
  return r.data as T;
}

async function until(what: string, is: () => Promise<boolean>): Promise<void> {
  for (const late = Date.now() + 120_000; !(await is()); ) {
    if (Date.now() > late) fail(`${what}: not in time`);
    await new Promise((done) => setTimeout(done, 200));
  }
  console.log(what);
}

async function endpoints(): Promise<void> {
  for (const [endpoint, port] of [["ts-old", env("OLD_PORT")], ["ts-new", env("NEW_PORT")]] as const) {
    const made = must(`endpoint ${endpoint}`, 201, await client.POST("/v1/orgs/{org}/endpoints", {
      params: { path: { org } },
      body: { name: endpoint, host: "127.0.0.1", port: Number(port), security: "none" },
    }));
    if (made.parked || made.resting) fail("a new endpoint rests");
  }
  const test = must("test of an endpoint", 200, await client.POST("/v1/orgs/{org}/endpoints/{name}/test", {
    params: { path: { org, name: "ts-old" } }, body: { user: "m0000", password },
  }));
  if (test.stages.at(-1)?.name !== "LIST") fail(`the test ended with ${JSON.stringify(test)}`);
}

// upload sends a batch as multipart: the spec as JSON, and the file.
function upload(csv: string, dryRun: boolean) {
  const spec: Schemas["BatchSpec"] = { name, sourceEndpoint: "ts-old", targetEndpoint: "ts-new", excludeFolders: ["#Junk#"] };
  return client.POST("/v1/orgs/{org}/batches", {
    params: { path: { org }, query: { dryRun } },
    body: { spec, csv },
    bodySerializer: () => {
      const form = new FormData();
      form.append("spec", new Blob([JSON.stringify(spec)], { type: "application/json" }));
      form.append("csv", new Blob([csv], { type: "text/csv" }), `${name}.csv`);
      return form;
    },
  });
}

async function create(): Promise<void> {
  const bad = await upload("EmailAddress,UserName,Password\nm0000,m0000,x\n", false);
  must("a file with mistakes", 422, bad);
  if (bad.error?.code !== "CsvInvalid" || bad.error.problems?.[0]?.line !== 2) fail(`its problems are ${JSON.stringify(bad.error)}`);
  let good = "EmailAddress,UserName,Password,TargetPassword\n";
  for (let i = 0; i < 3; i++) good += `ts${i}@example.com,m000${i},${i === 2 ? "wrong" : password},${password}\n`;
  const checked = must("a dry run", 200, await upload(good, true));
  if (!("mailboxes" in checked) || checked.mailboxes !== 3) fail(`it says ${JSON.stringify(checked)}`);
  const made = must("the batch", 201, await upload(good, false));
  if (!("status" in made) || made.status !== "Created" || made.counts.total !== 3) fail(`it is ${JSON.stringify(made)}`);
}

async function is(status: string): Promise<boolean> {
  const { data } = await client.GET("/v1/orgs/{org}/batches/{name}", batch);
  return data?.status === status;
}

async function run(): Promise<void> {
  must("start", 200, await client.POST("/v1/orgs/{org}/batches/{name}/start", batch));
  await until("synced, with an error", () => is("SyncedWithErrors"));
  const users = must("who needs credentials", 200, await client.GET("/v1/orgs/{org}/batches/{name}/users", {
    params: { path: { org, name }, query: { status: "NeedsCredentials" } },
  }));
  const user = users.items[0];
  if (users.items.length !== 1 || user?.code !== "AuthFailed" || user.lastSyncedAt !== null) fail(`they are ${JSON.stringify(users)}`);
  const path = { org, name, email: user.emailAddress };
  must("why", 200, await client.GET("/v1/orgs/{org}/batches/{name}/users/{email}/why", { params: { path } }));
  must("credentials", 200, await client.POST("/v1/orgs/{org}/batches/{name}/users/{email}/credentials", {
    params: { path }, body: { password },
  }));
  await follow(3);
  await until("synced", () => is("Synced"));
}

// follow reads the stream of events until n users are synced.
async function follow(n: number): Promise<void> {
  const stop = new AbortController();
  const { data } = await client.GET("/v1/orgs/{org}/batches/{name}/events", { ...batch, parseAs: "stream", signal: stop.signal });
  if (!data) fail("no events");
  const decoder = new TextDecoder();
  let text = "";
  for await (const piece of data as unknown as AsyncIterable<Uint8Array>) {
    text += decoder.decode(piece, { stream: true });
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
      const line = text.slice(0, end);
      text = text.slice(end + 1);
      if (!line.startsWith("data: ")) continue;
      const event: Schemas["Event"] = JSON.parse(line.slice(6));
      if (event.kind === "user.synced") n--;
      if (n > 0) continue;
      console.log("events, to", event.id);
      return;
    }
  }
  fail("the events ended");
}

async function prove(): Promise<void> {
  must("verify", 200, await client.POST("/v1/orgs/{org}/batches/{name}/verify", batch));
  await until("receipts", async () => {
    const { data } = await client.GET("/v1/orgs/{org}/batches/{name}/reports/{report}", {
      params: { path: { org, name, report: "receipts" }, query: { format: "json" } },
    });
    if (!data || typeof data === "string") fail("the receipts are no JSON");
    return data.items.filter((row) => row.same === true).length === 3;
  });
  for (const format of ["csv", "json", "html"] as const) {
    const text = must(`statistics as ${format}`, 200, await client.GET("/v1/orgs/{org}/batches/{name}/reports/{report}", {
      params: { path: { org, name, report: "statistics" }, query: { format } }, parseAs: "text",
    }));
    if (!String(text).includes("ts1@example.com")) fail(`they are ${text}`);
  }
  must("items", 200, await client.GET("/v1/orgs/{org}/batches/{name}/items", batch));
  const added = must("the same user again", 200, await client.POST("/v1/orgs/{org}/batches/{name}/users", {
    ...batch, body: { csv: "EmailAddress,UserName,Password\nts0@example.com,m0000,\n" },
  }));
  if (added.unchanged !== 1) fail(`it is ${JSON.stringify(added)}`);
  must("usage", 200, await client.GET("/v1/orgs/{org}/usage", { params: { path: { org } } }));
}

async function end(): Promise<void> {
  must("complete", 200, await client.POST("/v1/orgs/{org}/batches/{name}/complete", batch));
  await until("completed", () => is("Completed"));
  must("removal without a word", 409, await client.DELETE("/v1/orgs/{org}/batches/{name}", batch));
  const gone = await client.DELETE("/v1/orgs/{org}/batches/{name}", { params: { path: { org, name }, query: { force: true } } });
  if (!gone.response.ok) fail(`removal: ${JSON.stringify(gone.error)}`);
  await until("removed", async () => (await client.GET("/v1/orgs/{org}/batches/{name}", batch)).response.status === 404);
  for (const endpoint of ["ts-old", "ts-new"]) {
    must(`endpoint ${endpoint} deleted`, 204, await client.DELETE("/v1/orgs/{org}/endpoints/{name}", {
      params: { path: { org, name: endpoint } },
    }));
  }
}

await endpoints();
await create();
await run();
await prove();
await end();
process.exit(0);
