import { type FormEvent, type ReactNode, useId, useRef, useState } from "react";
import { makeKey, readDocument } from "../api/client";
import { type Calendar, areDatesMoved } from "../api/dates";
import { type Held, type Item, useChange } from "../api/items";
import { isConflict } from "../api/problem";
import { Button } from "./Button";
import { Dialog } from "./Dialog";
import styles from "./EntryDialog.module.css";
import { AreaField, CheckField, type Option, SelectField, TextField } from "./Field";
import { useNotice } from "./Notices";
import { Failure } from "./States";
import { Table } from "./Table";

export type Values = Record<string, unknown>;

/** One field of the form; its name is that of the record. */
export interface EntryField {
  name: string;
  label: string;
  type?: "text" | "number" | "whole" | "date" | "moment" | "choice" | "flag" | "area";
  options?: readonly Option[];
  unit?: string;
  hint?: ReactNode;
  required?: boolean;
  /** Takes the whole width. */
  wide?: boolean;
  /** A choice between whole numbers. */
  whole?: boolean;
}

interface Props {
  /** Such as ``Enter a visit``. */
  title: string;
  /** Kind of the item, and what it is called in a sentence. */
  kind: string;
  noun: string;
  patientId: string;
  fields: readonly EntryField[];
  /** The item that is changed; without it, one is made. */
  held?: Item;
  initial: Values;
  /** Added to what is sent. */
  fixed?: Values;
  /** What is shown below the fields, told of what stands in them. */
  aside?: (values: Values) => ReactNode;
  onClose: () => void;
}

/** Enter or change one item; a change by somebody else meanwhile is shown beside one's own. */
export function EntryDialog(props: Props) {
  const { title, kind, noun, patientId, fields, held, initial, fixed, aside, onClose } = props;
  const [values, setValues] = useState<Values>(initial);
  const [reason, setReason] = useState("");
  const [base, setBase] = useState(held);
  const [theirs, setTheirs] = useState<Meanwhile | null>(null);
  const moved = areDatesMoved();
  // What is changed stands here as the record shows it: only the person knows which days he typed beside it.
  const [calendar, setCalendar] = useState<Calendar | "">(held ? "" : "true");
  const [touched, setTouched] = useState<ReadonlySet<string>>(new Set());
  const dated = moved && fields.some(isDated);
  const asksCalendar = dated && held !== undefined && fields.some((field) => isDated(field) && touched.has(field.name));
  const [error, setError] = useState<unknown>(null);
  const key = useRef(makeKey());
  const change = useChange<Item>();
  const say = useNotice();
  const form = useId();
  const set = (name: string, value: unknown) => {
    // Another wish is another change.
    key.current = makeKey();
    setValues((all) => ({ ...all, [name]: value }));
    setTouched((all) => new Set(all).add(name));
  };

  async function send(event: FormEvent) {
    event.preventDefault();
    setError(null);
    // A day that nobody typed is one that the record shows: it is not sent as a true one.
    const meant = moved && base ? fields.filter((field) => !isDated(field) || touched.has(field.name)) : fields;
    const wanted = { ...toSent(meant, values, base), ...fixed };
    const dates = calendar ? { dates: calendar } : {};
    try {
      const { data } = await change.mutateAsync(
        base
          ? { method: "PATCH", path: `/api/${kind}/${base.item_id}`, etag: `"${base.version}"`, key: key.current, body: { values: wanted, reason }, ...dates }
          : { method: "POST", path: `/api/${kind}`, key: key.current, body: { patient_id: patientId, values: wanted }, ...dates },
      );
      const undo = base ? () => takeBack(data, base, wanted) : () => remove(data);
      say(base ? `The ${noun} was changed` : `The ${noun} was entered`, () => void undo().catch(() => say(`The ${noun} was changed since: it cannot be undone here`)));
      onClose();
    } catch (problem) {
      if (base && isConflict(problem)) setTheirs(await readMeanwhile(kind, base));
      else setError(problem);
    }
  }

  async function remove(item: Item) {
    await change.mutateAsync({
      method: "POST", path: `/api/${kind}/${item.item_id}/removal`, etag: `"${item.version}"`, body: { reason: "entered by mistake, undone at once" },
    });
    say(`The ${noun} was taken back`);
  }

  async function takeBack(item: Item, before: Item, sent: Values) {
    const old = Object.fromEntries(Object.keys(sent).map((name) => [name, before.values[name] ?? null]));
    await change.mutateAsync({
      method: "PATCH", path: `/api/${kind}/${item.item_id}`, etag: `"${item.version}"`, body: { values: old, reason: "changed by mistake, undone at once" }, dates: "record",
    });
    say(`The ${noun} is as it was`);
  }

  return (
    <Dialog
      title={title}
      wide
      onClose={onClose}
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" form={form} look="main" busy={change.isPending} disabled={theirs !== null || (base !== undefined && reason.trim() === "")}>
            {base ? "Change" : "Enter"}
          </Button>
        </>
      }
    >
      {theirs ? (
        <Conflict
          fields={fields}
          mine={values}
          theirs={theirs}
          onTheirs={onClose}
          onMine={() => {
            setBase(theirs.item);
            setTheirs(null);
            key.current = makeKey();
          }}
        />
      ) : null}
      <form id={form} className={styles.form} onSubmit={(event) => void send(event)}>
        {fields.map((field) => (
          <OneField key={field.name} field={field} value={values[field.name]} onChange={(value) => set(field.name, value)} />
        ))}
        {dated ? (
          <div className={styles.wide}>
            {asksCalendar ? (
              <SelectField
                label="The days you typed are"
                required
                empty="choose"
                value={calendar}
                onChange={(event) => {
                  key.current = makeKey();
                  setCalendar(event.target.value as Calendar | "");
                }}
                options={[
                  { value: "true", label: "true dates: move them" },
                  { value: "record", label: "as the record shows them" },
                ]}
              />
            ) : null}
            <p className={styles.moved}>
              {held
                ? "Research record: the dates shown here are moved."
                : "Research record: enter true dates. They are moved by this patient's own number of days before they are kept."}
            </p>
          </div>
        ) : null}
        {aside ? <div className={styles.wide}>{aside(values)}</div> : null}
        {base ? (
          <div className={styles.wide}>
            <AreaField label="Reason of the change" required maxLength={2000} value={reason} onChange={(event) => setReason(event.target.value)} />
          </div>
        ) : null}
      </form>
      {error ? <Failure error={error} /> : null}
    </Dialog>
  );
}

function isDated(field: EntryField): boolean {
  return field.type === "date" || field.type === "moment";
}

function OneField({ field, value, onChange }: { field: EntryField; value: unknown; onChange: (value: unknown) => void }) {
  const text = value === null || value === undefined ? "" : String(value);
  const around = {
    label: field.label,
    ...(field.unit ? { unit: field.unit } : {}),
    ...(field.hint ? { hint: field.hint } : {}),
    ...(field.wide ? { className: styles.wide ?? "" } : {}),
  };
  switch (field.type ?? "text") {
    case "choice":
      return (
        <SelectField {...around} options={field.options ?? []} {...(field.required ? {} : { empty: "not said" })} required={field.required} value={text} onChange={(event) => onChange(event.target.value || null)} />
      );
    case "flag":
      return <CheckField label={field.label} checked={value === true} onChange={(event) => onChange(event.target.checked)} />;
    case "area":
      return <AreaField {...around} maxLength={4000} value={text} onChange={(event) => onChange(event.target.value || null)} />;
    default:
      return (
        <TextField
          {...around}
          type={field.type === "date" ? "date" : field.type === "moment" ? "datetime-local" : "text"}
          inputMode={field.type === "number" ? "decimal" : field.type === "whole" ? "numeric" : undefined}
          pattern={field.type === "number" ? "[0-9]+([.][0-9]+)?" : field.type === "whole" ? "[0-9]+" : undefined}
          title={field.type === "number" ? "A number with a point, such as 12.5" : undefined}
          required={field.required}
          maxLength={400}
          value={text}
          onChange={(event) => onChange(event.target.value || null)}
        />
      );
  }
}

/** What is sent: of a change only what differs, numbers as numbers, moments with the browser's own zone. */
function toSent(fields: readonly EntryField[], values: Values, base?: Item): Values {
  const sent: Values = {};
  for (const field of fields) {
    const value = values[field.name];
    let now: unknown = value === undefined || value === "" ? null : value;
    if (now !== null && (field.type === "number" || field.type === "whole" || field.whole)) now = Number(now);
    if (now !== null && field.type === "moment") now = new Date(String(now)).toISOString();
    if (base ? !isSame(now, base.values[field.name] ?? null) : now !== null) sent[field.name] = now;
  }
  return sent;
}

/** A moment may be written in several zones. */
function isSame(one: unknown, other: unknown): boolean {
  if (typeof one === "string" && typeof other === "string" && one.includes("T") && other.includes("T")) {
    return Math.abs(Date.parse(one) - Date.parse(other)) < 60_000;
  }
  return one === other;
}

interface Meanwhile {
  item: Item;
  who: string;
  when: string;
  reason: string;
}

/** Read what somebody else made of an item, and who that was. */
async function readMeanwhile(kind: string, base: Item): Promise<Meanwhile> {
  const item = await readDocument<Item>(`/api/${kind}/${base.item_id}`);
  const trail = await readDocument<{ events: Array<{ actor_id: string; time_utc: string; reason: string; version: number }> }>(
    `/api/events/${kind}/${base.item_id}?limit=500`,
  ).catch(() => ({ events: [] }));
  const last = trail.events.filter((one) => one.version > base.version).at(-1);
  const me = await readDocument<{ account_id: string }>("/api/me").catch(() => null);
  const account = last && last.actor_id !== me?.account_id ? await readDocument<Held["item"]>(`/api/account/${last.actor_id}`).catch(() => null) : null;
  return {
    item,
    who: last && last.actor_id === me?.account_id ? "yourself, elsewhere" : String(account?.values.display_name ?? last?.actor_id ?? "somebody else"),
    when: last?.time_utc ?? "",
    reason: last?.reason ?? "",
  };
}

interface ConflictProps {
  fields: readonly EntryField[];
  mine: Values;
  theirs: Meanwhile;
  onTheirs: () => void;
  onMine: () => void;
}

/** Both versions, field by field, where they differ. */
function Conflict({ fields, mine, theirs, onTheirs, onMine }: ConflictProps) {
  const differing = fields.filter((field) => toWords(mine[field.name]) !== toWords(theirs.item.values[field.name]));
  return (
    <div className={styles.conflict} role="alert">
      <p>
        <strong>Changed meanwhile by {theirs.who}</strong>
        {theirs.when ? ` at ${theirs.when.slice(0, 16).replace("T", " ")} UTC` : ""}
        {theirs.reason ? `: ${theirs.reason}` : ""}. Nothing of yours was saved.
      </p>
      <Table
        caption="Your entry and theirs"
        rows={differing}
        rowKey={(field) => field.name}
        columns={[
          { name: "field", title: "Field", cell: (field) => field.label },
          { name: "yours", title: "Yours", cell: (field) => toWords(mine[field.name]) || "–" },
          { name: "theirs", title: "Theirs", cell: (field) => toWords(theirs.item.values[field.name]) || "–" },
        ]}
      />
      <div className={styles.ways}>
        <Button onClick={onTheirs}>Keep theirs</Button>
        <Button onClick={onMine}>Go on with mine</Button>
      </div>
    </div>
  );
}

function toWords(value: unknown): string {
  return value === null || value === undefined ? "" : String(value);
}
