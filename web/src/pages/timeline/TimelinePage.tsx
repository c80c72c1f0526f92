import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { client, unwrap } from "../../api/client";
import { useChange } from "../../api/items";
import type { components } from "../../api/schema";
import { ItemChecks } from "../../shell/ItemChecks";
import { useMay, useMe } from "../../shell/me";
import type { Params } from "../../shell/pages";
import { Badge, type Tone } from "../../ui/Badge";
import { Button } from "../../ui/Button";
import { ReasonDialog } from "../../ui/Dialog";
import { useNotice } from "../../ui/Notices";
import { Page } from "../../ui/Page";
import { Panel } from "../../ui/Panel";
import { Answered, Empty } from "../../ui/States";
import { day, instant } from "../../ui/numbers";
import { toCriterionLabel } from "../../ui/words";
import { SignPanel } from "./SignPanel";
import { Consents } from "./Consents";
import styles from "./TimelinePage.module.css";

type Row = components["schemas"]["TimelineRow"];

const LABELS: Record<string, string> = {
  scan: "Scan",
  plan: "Plan",
  procedure: "Procedure",
  visit: "Visit",
  consent: "Consent",
  adverse_event: "Adverse event",
  read: "Read",
};
const TONES: Record<string, Tone> = {
  accepted: "good",
  cleared: "good",
  closed: "good",
  locked: "good",
  not_cleared: "caution",
  identity_differs: "caution",
  suspected_burnt_in: "caution",
  open: "caution",
  rejected: "quiet",
};
/** Kinds that are entered from a source document. */
const SOURCED = new Set(["visit", "consent", "adverse_event"]);
const WAITS = new Set(["identity_differs", "suspected_burnt_in"]);

function words(value: unknown): string {
  return typeof value === "string" ? value.replaceAll("_", " ") : "";
}

/** One line that says what an item is. */
function tell(row: Row): string {
  const values = row.values;
  switch (row.kind) {
    case "scan":
      return values["labels_of"]
        ? String(values["title"] ?? "Labels")
        : [values["modality"], words(values["phase_hint"]) === "unknown" ? "" : words(values["phase_hint"]), values["image_count"] ? `${String(values["image_count"])} images` : ""].filter(Boolean).join(", ");
    case "plan":
      return `Visit ${String(values["visit_number"])}${Array.isArray(values["chosen_punctures"]) ? `, ${values["chosen_punctures"].join(", ")} chosen` : ""}`;
    case "procedure":
      return `Visit ${String(values["visit_number"] ?? "–")}`;
    case "visit":
      return [values["name"] ?? `number ${String(values["visit_number"] ?? "–")}`, words(values["status"])].filter(Boolean).join(", ");
    case "adverse_event":
      return [values["term"], values["grade"] ? `grade ${String(values["grade"])}` : "", values["serious"] ? "serious" : ""].filter(Boolean).join(", ");
    case "read":
      return [words(values["role"]), toCriterionLabel(values["criterion"])].filter(Boolean).join(", ");
    default:
      return [values["form_version"] ? `form ${String(values["form_version"])}` : "", values["withdrawn_date"] ? "withdrawn" : ""].filter(Boolean).join(", ");
  }
}

/** What happened with a patient, latest first. */
export default function TimelinePage({ params }: { params: Params }) {
  const patientId = params["patientId"] ?? "";
  const asked = useQuery({
    queryKey: ["timeline", patientId],
    queryFn: async () => unwrap(client.GET("/api/patient/{patient_id}/timeline", { params: { path: { patient_id: patientId } } })),
  });
  const me = useMe();
  const mayConsent = !me.blinded && ["consent.read", "study.read"].every((right) => me.rights.includes(right));
  const mayPlan = useMay("plan.write");
  const mayImport = useMay("scan.write");
  const mayAccept = useMay("identity.read") && mayImport;
  const [judged, setJudged] = useState<{ row: Row; as: "acceptance" | "rejection" } | null>(null);
  const [kind, setKind] = useState("");
  const change = useChange();
  const say = useNotice();
  const rows = asked.data?.rows ?? [];
  const kinds = [...new Set(rows.map((row) => row.kind))];
  const shown = rows.filter((row) => kind === "" || row.kind === kind);
  const mayPlanHere = mayPlan && rows.some((row) => row.kind === "scan" && row.values["state"] === "accepted" && row.values["modality"] === "CT");
  return (
    <Page
      title={asked.data ? String(asked.data.patient.values["subject_id"] ?? "Patient") : "Patient"}
      ready={asked.data !== undefined}
      actions={
        <>
          {mayImport ? (
            <Link className={styles.button ?? ""} href={`/patient/${patientId}/import`}>
              Import scans
            </Link>
          ) : null}
          {mayPlanHere ? (
            <Link className={styles.button ?? ""} href={`/patient/${patientId}/new-plan`}>
              New plan
            </Link>
          ) : null}
        </>
      }
    >
      {mayConsent ? <Consents patientId={patientId} /> : null}
      <Panel
        title="Timeline"
        actions={
          kinds.length > 1 ? (
            <div className={styles.kinds}>
              {["", ...kinds].map((one) => (
                <Button key={one} look="quiet" pressed={kind === one} onClick={() => setKind(one)}>
                  {one === "" ? "All" : (LABELS[one] ?? one)}
                </Button>
              ))}
            </div>
          ) : null
        }
      >
        <Answered asked={asked} what="the timeline">
          {() =>
            rows.length === 0 ? (
              <Empty title="Nothing yet">{mayImport ? "Import the first scan." : "What is entered for this patient appears here."}</Empty>
            ) : (
              <ol className={styles.rows}>
                {shown.map((row) => {
                  const state = String(row.values["status"] ?? row.values["state"] ?? "");
                  return (
                    <li key={`${row.kind}-${row.item_id}`} data-kind={row.kind} data-item={row.item_id}>
                      {row.entered_at ? (
                        <time title={`Entered ${instant(row.entered_at)}`}>{row.date ? day(row.date) : `entered ${day(row.entered_at)}`}</time>
                      ) : (
                        <span />
                      )}
                      <span className={styles.kind}>{row.values["labels_of"] ? "Labels" : (LABELS[row.kind] ?? row.kind)}</span>
                      <span>
                        {row.kind === "plan" ? (
                          <Link href={`/patient/${patientId}/plan/${row.item_id}`}>{tell(row) || "Open"}</Link>
                        ) : (
                          tell(row)
                        )}
                      </span>
                      <span className={styles.state}>
                        <span className={styles.checks}>
                          <ItemChecks
                            item={{ kind: row.kind, item_id: row.item_id, patient_id: patientId, version: row.version }}
                            title={`${LABELS[row.kind] ?? row.kind} ${[tell(row), row.date ? day(row.date) : ""].filter(Boolean).join(", ")}`.trim()}
                            hasSource={SOURCED.has(row.kind)}
                          />
                        </span>
                        {state && !row.values["labels_of"] ? <Badge {...(TONES[state] ? { tone: TONES[state] } : {})}>{words(state)}</Badge> : null}
                        {row.kind === "scan" && WAITS.has(state) && mayImport ? (
                          <>
                            {mayAccept ? <Button onClick={() => setJudged({ row, as: "acceptance" })}>Accept</Button> : null}
                            <Button onClick={() => setJudged({ row, as: "rejection" })}>Reject</Button>
                          </>
                        ) : null}
                      </span>
                    </li>
                  );
                })}
              </ol>
            )
          }
        </Answered>
      </Panel>
      <SignPanel patientId={patientId} />
      {judged ? (
        <ReasonDialog
          title={judged.as === "acceptance" ? "Accept this scan" : "Reject this scan"}
          action={judged.as === "acceptance" ? "Accept" : "Reject"}
          danger={judged.as === "rejection"}
          onClose={() => setJudged(null)}
          onDone={async (reason) => {
            await change.mutateAsync({ method: "POST", path: `/api/scan/${judged.row.item_id}/${judged.as}`, etag: `"${judged.row.version}"`, body: { reason } });
            say(judged.as === "acceptance" ? "The scan was accepted" : "The scan was rejected");
          }}
        >
          <p>
            {[...toList(judged.row.values["differing"]), ...toList(judged.row.values["suspicions"])].join("; ") || "It waits for a decision."}
          </p>
        </ReasonDialog>
      ) : null}
    </Page>
  );
}

function toList(value: unknown): string[] {
  return Array.isArray(value) ? value.map(words) : [];
}
