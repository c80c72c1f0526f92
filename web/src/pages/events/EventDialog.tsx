import { useQuery } from "@tanstack/react-query";
import { client, unwrap } from "../../api/client";
import type { Item } from "../../api/items";
import { EntryDialog, type EntryField, type Values } from "../../ui/EntryDialog";
import styles from "./Events.module.css";

const RELATIONS = ["NOT RELATED", "UNLIKELY RELATED", "POSSIBLY RELATED", "PROBABLY RELATED", "RELATED"].map((value) => ({ value, label: value.toLowerCase() }));
const OUTCOMES = [
  "NOT RECOVERED/NOT RESOLVED",
  "RECOVERING/RESOLVING",
  "RECOVERED/RESOLVED",
  "RECOVERED/RESOLVED WITH SEQUELAE",
  "FATAL",
  "UNKNOWN",
].map((value) => ({ value, label: value.toLowerCase() }));

/** How this page names the fields of an event. */
export const FIELD_NAMES = [
  { name: "term", label: "Term as reported" },
  { name: "ctcae_term", label: "CTCAE term" },
  { name: "grade", label: "Grade" },
  { name: "start_date", label: "Start" },
  { name: "end_date", label: "End" },
  { name: "relation_to_agent", label: "Related to the agent" },
  { name: "relation_to_procedure", label: "Related to the procedure" },
  { name: "outcome", label: "Outcome" },
  { name: "became_aware_time", label: "Site became aware" },
  { name: "reported_time", label: "Reported to the sponsor" },
  { name: "serious", label: "Serious" },
  { name: "note", label: "Note" },
] as const;

/** Enter or change an adverse event; terms are looked for while typing, with the grades that each can have. */
export function EventDialog({ patientId, held, onClose }: { patientId: string; held?: Item; onClose: () => void }) {
  const terms = useQuery({
    queryKey: ["terms"],
    queryFn: () => unwrap(client.GET("/api/terms", { params: { query: { search: "" } } })),
    staleTime: Number.POSITIVE_INFINITY,
  });
  const known = terms.data ?? [];
  const fields: EntryField[] = [
    { name: "term", label: "Term as reported", required: true, wide: true },
    {
      name: "ctcae_term",
      label: "CTCAE term",
      type: "choice",
      options: known.map((one) => ({ value: one.term, label: `${one.term} (grades ${one.lowest} to ${one.highest})` })),
    },
    { name: "grade", label: "Grade", type: "choice", whole: true, options: [1, 2, 3, 4, 5].map((one) => ({ value: String(one), label: String(one) })) },
    { name: "start_date", label: "Start", type: "date", required: true },
    { name: "end_date", label: "End", type: "date", hint: "Empty while it goes on." },
    { name: "relation_to_agent", label: "Related to the agent", type: "choice", options: RELATIONS },
    { name: "relation_to_procedure", label: "Related to the procedure", type: "choice", options: RELATIONS },
    { name: "outcome", label: "Outcome", type: "choice", options: OUTCOMES },
    { name: "became_aware_time", label: "Site became aware", type: "moment", hint: "Of a serious event: the clock of its report starts here." },
    { name: "serious", label: "Serious", type: "flag" },
    { name: "note", label: "Note", type: "area", wide: true },
  ];
  return (
    <EntryDialog
      title={held ? "Change an adverse event" : "Enter an adverse event"}
      kind="adverse_event"
      noun="adverse event"
      patientId={patientId}
      fields={fields}
      {...(held ? { held } : {})}
      initial={held ? toForm(held.values) : { serious: false }}
      aside={(values) => <Hint values={values} known={known} />}
      onClose={onClose}
    />
  );
}

function toForm(values: Values): Values {
  const aware = values.became_aware_time;
  return { ...values, ...(typeof aware === "string" ? { became_aware_time: toLocal(aware) } : {}) };
}

/** An instant as the browser's own field for moments wants it. */
function toLocal(text: string): string {
  const at = new Date(text);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

function Hint({ values, known }: { values: Values; known: ReadonlyArray<{ term: string; lowest: number; highest: number; status: string; source: string }> }) {
  const written = String(values.term ?? "").toLowerCase().trim();
  const chosen = known.find((one) => one.term === values.ctcae_term);
  const near = written.length > 2 ? known.filter((one) => one.term.toLowerCase().includes(written)).slice(0, 4) : [];
  if (chosen) {
    const grade = Number(values.grade);
    const outside = values.grade && (grade < chosen.lowest || grade > chosen.highest);
    return (
      <p className={outside ? styles.warning : styles.quiet} role={outside ? "alert" : undefined}>
        {chosen.term} has grades {chosen.lowest} to {chosen.highest} in CTCAE v5.0 ({chosen.status}: {chosen.source}).
        {outside ? " The grade chosen is none of them; the server will say so beside the event." : ""} What each grade means is read in CTCAE itself; its texts are not shipped.
      </p>
    );
  }
  return (
    <p className={styles.quiet}>
      {near.length > 0 ? `Terms with these letters: ${near.map((one) => one.term).join(", ")}. ` : ""}
      Choose the CTCAE term, or leave it open where none fits.
    </p>
  );
}
