/** What is said of one lesion on one scan, before it is confirmed. */
import { type FormEvent, useState } from "react";
import { Button } from "../../ui/Button";
import { SelectField, TextField } from "../../ui/Field";
import { Failure } from "../../ui/States";
import { quantity } from "../../ui/numbers";
import styles from "./ReadPage.module.css";
import type { ReadLesion, ReadMark, ReadScan } from "./hooks";
import { type Basis, type Draft, type Proposal, ROLES, STATES } from "./marks";

interface Props {
  scan: ReadScan;
  isBaseline: boolean;
  lesions: readonly ReadLesion[];
  draft: Draft;
  mark: ReadMark | undefined;
  proposal: Proposal | null;
  isDirty: boolean;
  isLocked: boolean;
  criterion: string;
  busy: boolean;
  error: unknown;
  linkWords: string;
  onChange: (draft: Draft) => void;
  /** How the nearer lesion was found. */
  nearerBasis: "position" | "registration";
  onLesion: (lesionId: string, basis: Basis) => void;
  onConfirm: () => void;
  onRemove: () => void;
}

const BY_ROLE: Record<string, readonly string[]> = {
  TARGET: ["PRESENT", "ABSENT", "NOT EVALUABLE"],
  "NON-TARGET": ["PRESENT", "ABSENT", "EQUIVOCAL", "UNEQUIVOCAL", "NOT EVALUABLE"],
  NEW: ["EQUIVOCAL", "UNEQUIVOCAL", "ABSENT", "NOT EVALUABLE"],
};
const BY_BASELINE: readonly string[] = ["PRESENT", "NOT EVALUABLE"];

/** The words of a state for what the lesion is. */
function toStateLabel(state: string, role: string): string {
  if (role === "NEW" && state === "UNEQUIVOCAL") return "Unequivocally new";
  if (role === "NEW" && state === "EQUIVOCAL") return "Equivocal: perhaps new";
  if (state === "UNEQUIVOCAL") return "Unequivocal progression";
  if (state === "EQUIVOCAL") return "Equivocal progression";
  return STATES.find((one) => one.value === state)?.label ?? state;
}

export function MarkForm(props: Props) {
  const { scan, isBaseline, lesions, draft, mark, proposal, isDirty, isLocked, criterion, busy, onChange, onConfirm } = props;
  const [others, setOthers] = useState(false);
  const lesion = lesions.find((one) => one.lesion_id === draft.lesionId);
  const nearer = proposal?.nearer ? lesions.find((one) => one.lesion_id === proposal.nearer?.lesionId) : undefined;
  const roles = isBaseline ? ROLES.filter((one) => one.value !== "NEW") : ROLES;
  const allowed = isBaseline ? BY_BASELINE : (BY_ROLE[draft.role] ?? BY_ROLE["NON-TARGET"] ?? []);
  const states = [...new Set([...allowed, draft.state])].map((value) => ({ value, label: toStateLabel(value, draft.role) }));
  const gone = draft.state === "ABSENT" || draft.state === "NOT EVALUABLE";
  function send(event: FormEvent) {
    event.preventDefault();
    onConfirm();
  }
  return (
    <form className={styles.form} onSubmit={send} data-form={draft.lesionId} data-saved={mark !== undefined && !isDirty}>
      <header className={styles.formHead}>
        <h3>
          {lesion?.name ?? "Lesion"} <span className={styles.quiet}>visit {scan.visit_number}</span>
        </h3>
        <span className={styles.quiet} data-mark-state={mark && !isDirty ? "saved" : mark ? "changed" : "open"}>
          {mark && !isDirty ? "confirmed" : mark ? "changed, not confirmed" : "not confirmed"}
        </span>
      </header>
      {!isBaseline && proposal ? (
        <div className={styles.match} data-match={proposal.nearer ? "doubtful" : "proposed"}>
          <span>
            Proposed match: {lesion?.name}, {proposal.basis === "registration" ? "the nearest by registration, and the same label" : "the same label"}
            {proposal.distance_mm === null ? "" : `; ${quantity(proposal.distance_mm, "mm")} from its baseline line (${props.linkWords})`}.
          </span>
          {nearer && proposal.nearer ? (
            <span className={styles.warns}>
              {nearer.name} lies nearer: {quantity(proposal.nearer.distance_mm, "mm")}.
            </span>
          ) : null}
          {isLocked ? null : (
            <span className={styles.row}>
              {nearer ? (
                <Button className={styles.small ?? ""} onClick={() => props.onLesion(nearer.lesion_id, props.nearerBasis)}>
                  It is {nearer.name}
                </Button>
              ) : null}
              <Button look="quiet" className={styles.small ?? ""} pressed={others} onClick={() => setOthers(!others)}>
                Another lesion
              </Button>
            </span>
          )}
          {others && !isLocked ? (
            <SelectField
              label="It is"
              value={draft.lesionId}
              options={lesions.map((one) => ({ value: one.lesion_id, label: `${one.name}, ${one.location.toLowerCase()}` }))}
              onChange={(event) => {
                setOthers(false);
                props.onLesion(event.target.value, "reader");
              }}
            />
          ) : null}
        </div>
      ) : null}
      <fieldset className={styles.fields} disabled={isLocked}>
        <legend className="visually-hidden">Measurement</legend>
        <TextField
          label={criterion === "mrecist" && !lesion?.is_node ? "Longest viable" : "Longest diameter"}
          unit="mm"
          inputMode="decimal"
          value={draft.longest_diameter_mm}
          disabled={gone}
          onChange={(event) => onChange({ ...draft, longest_diameter_mm: event.target.value, long: null, short: null })}
        />
        <TextField
          label="Short axis"
          unit="mm"
          inputMode="decimal"
          value={draft.short_axis_mm}
          disabled={gone}
          onChange={(event) => onChange({ ...draft, short_axis_mm: event.target.value, short: null })}
        />
        <TextField label="Volume" unit="mL" inputMode="decimal" value={draft.volume_ml} disabled={gone} onChange={(event) => onChange({ ...draft, volume_ml: event.target.value })} />
        <SelectField label="Role" value={draft.role} options={roles} disabled={!isBaseline && lesion?.role !== ""} onChange={(event) => onChange({ ...draft, role: event.target.value })} />
        <SelectField label="State" className={styles.wide ?? ""} value={draft.state} options={states} onChange={(event) => onChange({ ...draft, state: event.target.value })} />
      </fieldset>
      {draft.long ? <p className={styles.quiet}>Measured on the picture; the ends are kept with it.</p> : null}
      {props.error ? <Failure error={props.error} /> : null}
      {isLocked ? null : (
        <div className={styles.row}>
          <Button type="submit" look="main" busy={busy} disabled={!isDirty && mark !== undefined}>
            Confirm
          </Button>
          {mark ? (
            <Button look="quiet" onClick={props.onRemove}>
              Take back
            </Button>
          ) : null}
        </div>
      )}
    </form>
  );
}
