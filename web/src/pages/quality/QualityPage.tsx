import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { client, unwrap } from "../../api/client";
import { useItems } from "../../api/items";
import { Badge, type Tone } from "../../ui/Badge";
import { Page } from "../../ui/Page";
import { Panel } from "../../ui/Panel";
import { Answered, Empty } from "../../ui/States";
import { Table } from "../../ui/Table";
import { instant, percent, quantity } from "../../ui/numbers";

const CLOCKS: Record<string, Tone> = { late: "bad", "reported late": "caution", open: "caution", "not evaluable": "caution", "in time": "good" };

/** What is still open in the data, by site: queries and their age, unverified values, open ends, serious events. */
export default function QualityPage() {
  const quality = useQuery({ queryKey: ["quality"], queryFn: async () => unwrap(client.GET("/api/quality")) });
  const serious = useQuery({ queryKey: ["serious"], queryFn: async () => unwrap(client.GET("/api/serious-events")) });
  const sites = useItems<{ name: string }>("site", { limit: 500 });
  const names = new Map(sites.data?.items.map((one) => [one.item_id, one.values.name]));
  const site = (row: { site_id: string }) => names.get(row.site_id) ?? row.site_id;
  return (
    <Page title="Data quality" ready={quality.data !== undefined && serious.data !== undefined}>
      <Answered asked={quality} what="what is open">
        {(found) => (
          <>
              <Panel title="Open queries by age" flush actions={<Link href="/queries">To the queries</Link>}>
                {found.queries.length === 0 ? (
                  <Empty title="No open query" />
                ) : (
                  <Table
                    caption="Open queries by site and age"
                    rows={found.queries}
                    rowKey={(row) => row.site_id}
                    columns={[
                      { name: "site", title: "Site", cell: site },
                      ...listGroups(found.ages_days).map((title, place) => ({
                        name: title,
                        title,
                        number: true,
                        cell: (row: { open_by_age: number[] }) => row.open_by_age[place] ?? 0,
                      })),
                      { name: "oldest", title: "Oldest", number: true, cell: (row) => quantity(row.oldest_days, "days") },
                      { name: "answered", title: "To close", number: true, cell: (row) => <span data-answered={row.site_id}>{row.answered}</span> },
                    ]}
                  />
                )}
              </Panel>
              <Panel title="Not locked, not signed" flush>
                {found.ends.length === 0 ? <Empty title="No patient yet" /> : <Table
                  caption="Reads and patients that are not locked or not signed, by site"
                  rows={found.ends}
                  rowKey={(row) => row.site_id}
                  columns={[
                    { name: "site", title: "Site", cell: site },
                    { name: "open", title: "Reads not locked", number: true, cell: (row) => row.reads_open },
                    { name: "unsigned", title: "Locked reads not signed", number: true, cell: (row) => row.reads_unsigned },
                    { name: "patients", title: "Ended patients not locked", number: true, cell: (row) => row.patients_unlocked },
                    { name: "locked", title: "Locked patients not signed", number: true, cell: (row) => row.patients_unsigned },
                  ]}
                />}
              </Panel>
            <Panel title="Source verification" flush>
              {found.sources.length === 0 ? (
                <Empty title="Nothing to verify yet" />
              ) : (
                <Table
                  caption="Items held against their source, by site and kind"
                  rows={found.sources}
                  rowKey={(row) => row.site_id + row.kind}
                  columns={[
                    { name: "kind", title: "Entries", cell: (row) => row.kind.replaceAll("_", " ") },
                    { name: "site", title: "Site", cell: site },
                    { name: "items", title: "Entered", number: true, cell: (row) => row.items },
                    { name: "verified", title: "Verified", number: true, cell: (row) => row.verified },
                    { name: "changed", title: "Changed since", number: true, cell: (row) => (row.changed > 0 ? <strong>{row.changed}</strong> : 0) },
                    { name: "never", title: "Never verified", number: true, cell: (row) => row.items - row.verified - row.changed },
                    { name: "share", title: "Share", number: true, cell: (row) => percent(row.verified / row.items) },
                  ]}
                />
              )}
            </Panel>
          </>
        )}
      </Answered>
      <Panel title="Serious events and their clock" flush>
        <Answered asked={serious} what="serious events">
          {(found) =>
            found.length === 0 ? (
              <Empty title="No serious event" />
            ) : (
              <Table
                caption="Serious events, those whose time runs out first on top"
                rows={found}
                rowKey={(row) => row.event.item_id}
                columns={[
                  { name: "patient", title: "Patient", cell: (row) => <Link href={`/patient/${row.event.patient_id}`}>{row.subject_id || row.event.patient_id}</Link> },
                  { name: "term", title: "Event", cell: (row) => String(row.event.values["term"]) },
                  { name: "site", title: "Site", cell: (row) => site(row.event) },
                  { name: "state", title: "Report", cell: (row) => <Badge tone={CLOCKS[row.state] ?? "quiet"}>{row.state}</Badge> },
                  { name: "due", title: "Due", cell: (row) => instant(row.due) },
                  {
                    name: "left",
                    title: "Left",
                    number: true,
                    cell: (row) => (row.event.values["reported_time"] ? "reported" : row.left_h === null ? row.reason : quantity(row.left_h, "h")),
                  },
                ]}
              />
            )
          }
        </Answered>
      </Panel>
    </Page>
  );
}

/** ``[7, 14]`` as "to 7 days", "to 14 days", "older". */
function listGroups(edges: number[]): string[] {
  return [...edges.map((edge) => `To ${edge}\u202fdays`), "Older"];
}
