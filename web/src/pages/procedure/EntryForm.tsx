import { makeKey } from "../../api/client";
import { areDatesMoved } from "../../api/dates";
import { type FormEvent, useId, useState } from "react";
import { Button } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import { CheckField, SelectField, TextField } from "../../ui/Field";
import { unitOf } from "../../ui/units";
import styles from "./Procedure.module.css";
import { type Entry, type EntryField, type EntryKind, toLocalInstant } from "./day";

type Values = Record<string, unknown>;

interface Props {
  kind: EntryKind;
  /** What is known already, such as the needle that is in. */
  known: Values;
  /** Choices for fields that name something of this day. */
  choices: Record<string, readonly string[]>;
  /** The entry that is corrected. */
  corrects?: Entry;
  onClose: () => void;
  onEnter: (entry: Entry) => void;
}

/** Large fields for one entry; made from the kind's own table. */
export function EntryForm({ kind, known, choices, corrects, onClose, onEnter }: Props) {
  const [values, setValues] = useState<Values>(known);
  const [reason, setReason] = useState("");
  const [at, setAt] = useState(toLocalInstant(corrects ? new Date(corrects.occurred_at) : new Date()).slice(0, 16));
  const form = useId();
  const put = (name: string, value: unknown) => setValues((before) => ({ ...before, [name]: value }));
  const problem = findProblem(kind, values);

  function send(event: FormEvent) {
    event.preventDefault();
    if (problem) return;
    onEnter({
      entry_id: makeKey(),
      kind: kind.kind,
      occurred_at: toLocalInstant(new Date(at)),
      values: clean(kind, values),
      ...(corrects ? { supersedes: corrects.entry_id, reason: reason.trim() } : {}),
    });
  }

  return (
    <Dialog
      title={corrects ? `Correct: ${kind.label}` : kind.label}
      onClose={onClose}
      wide
      foot={
        <>
          <span className={styles.problem} role="status">
            {problem}
          </span>
          <Button large onClick={onClose}>
            Cancel
          </Button>
          <Button large type="submit" form={form} look="main" disabled={problem !== "" || (corrects !== undefined && reason.trim() === "")}>
            Enter
          </Button>
        </>
      }
    >
      <form id={form} className={styles.form} onSubmit={send}>
        {areDatesMoved() ? (
          <p>
            {corrects
              ? "Research record: correct dates and times as they are shown here, moved. They are kept as you leave them."
              : "Research record: enter true dates and times. They are moved by this patient's own number of days."}
          </p>
        ) : null}
        {kind.fields.map((field) => (
          <OneField key={field.name} field={field} value={values[field.name]} choices={choices[field.name]} put={(value) => put(field.name, value)} />
        ))}
        <TextField label="When" type="datetime-local" required value={at} onChange={(event) => setAt(event.target.value)} />
        {corrects ? (
          <TextField label="Why it is corrected" required value={reason} onChange={(event) => setReason(event.target.value)} />
        ) : null}
      </form>
    </Dialog>
  );
}

interface OneProps {
  field: EntryField;
  value: unknown;
  choices: readonly string[] | undefined;
  put: (value: unknown) => void;
}

function OneField({ field, value, choices, put }: OneProps) {
  const label = field.label;
  if (field.type === "flag") {
    return <CheckField label={label} checked={value === true} onChange={(event) => put(event.target.checked)} />;
  }
  if (field.type === "code") {
    return (
      <fieldset className={styles.codes}>
        <legend>{label}</legend>
        {field.codes.map((code) => (
          <Button key={code} large pressed={value === code} onClick={() => put(value === code && !field.required ? undefined : code)}>
            {code.replaceAll("_", " ")}
          </Button>
        ))}
      </fieldset>
    );
  }
  if (field.type === "texts") {
    const chosen = Array.isArray(value) ? (value as string[]) : [];
    return (
      <fieldset className={styles.codes}>
        <legend>{label}</legend>
        {(choices ?? chosen).map((one) => (
          <Button
            key={one}
            large
            pressed={chosen.includes(one)}
            onClick={() => put(chosen.includes(one) ? chosen.filter((other) => other !== one) : [...chosen, one])}
          >
            {one}
          </Button>
        ))}
      </fieldset>
    );
  }
  if (choices && choices.length > 0) {
    const options = choices.map((one) => ({ value: one, label: one }));
    return (
      <SelectField
        label={label}
        required={field.required}
        options={options}
        empty={field.required ? "Choose" : "None"}
        value={String(value ?? "")}
        onChange={(event) => put(event.target.value || undefined)}
      />
    );
  }
  if (field.type === "number" || field.type === "integer") {
    const unit = unitOf(field.name);
    return (
      <TextField
        label={label}
        {...(unit ? { unit } : {})}
        type="number"
        inputMode="decimal"
        step={field.type === "integer" ? 1 : "any"}
        min={field.least ?? field.above ?? undefined}
        max={field.most ?? undefined}
        required={field.required}
        value={value === undefined || value === null ? "" : String(value)}
        onChange={(event) => put(event.target.value === "" ? undefined : Number(event.target.value))}
      />
    );
  }
  if (field.type === "point") {
    const point = Array.isArray(value) ? (value as Array<number | undefined>) : [];
    return (
      <fieldset className={styles.point}>
        <legend>{label} (mm)</legend>
        {["L", "P", "S"].map((axis, index) => (
          <TextField
            key={axis}
            label={axis}
            type="number"
            step="any"
            required={field.required}
            value={point[index] === undefined ? "" : String(point[index])}
            onChange={(event) => {
              const next = [point[0], point[1], point[2]];
              next[index] = event.target.value === "" ? undefined : Number(event.target.value);
              put(next);
            }}
          />
        ))}
      </fieldset>
    );
  }
  if (field.type === "affine") return null;
  const type = field.type === "date" ? "date" : field.type === "time" ? "datetime-local" : "text";
  return (
    <TextField
      label={label}
      type={type}
      required={field.required}
      maxLength={4000}
      value={String(value ?? "")}
      onChange={(event) => put(event.target.value || undefined)}
    />
  );
}

/** Say what is missing, so that nobody presses Enter in vain. */
function findProblem(kind: EntryKind, values: Values): string {
  const missing = kind.fields.filter((field) => field.required && isEmpty(field, values[field.name]));
  if (missing.length > 0) return `Still needed: ${missing.map((field) => field.label.toLowerCase()).join(", ")}`;
  for (const field of kind.fields) {
    const value = values[field.name];
    if (typeof value !== "number") continue;
    if (field.least !== null && value < field.least) return `${field.label}: at least ${field.least}`;
    if (field.most !== null && value > field.most) return `${field.label}: at most ${field.most}`;
    if (field.above !== null && value <= field.above) return `${field.label}: more than ${field.above}`;
  }
  if (kind.at_least_one && kind.fields.every((field) => isEmpty(field, values[field.name]))) return "At least one value is needed";
  return "";
}

function isEmpty(field: EntryField, value: unknown): boolean {
  if (field.type === "flag") return value === undefined;
  if (field.type === "texts") return !Array.isArray(value) || value.length === 0;
  if (field.type === "point") return !Array.isArray(value) || value.length !== 3 || value.some((one) => typeof one !== "number");
  return value === undefined || value === null || value === "";
}

function clean(kind: EntryKind, values: Values): Values {
  const result: Values = {};
  for (const field of kind.fields) {
    const value = values[field.name];
    if (isEmpty(field, value)) continue;
    result[field.name] = field.type === "time" && typeof value === "string" && value.length === 16 ? toLocalInstant(new Date(value)) : value;
  }
  return result;
}
