/** Beside an entry: open queries about it, what of it was held against the source, and the ways to ask and to verify. */
import { type FormEvent, useId, useState } from "react";
import { Link } from "wouter";
import { useChange, useItem } from "../api/items";
import { Badge } from "../ui/Badge";
import { Button } from "../ui/Button";
import { Dialog, ReasonDialog } from "../ui/Dialog";
import { CheckField, SelectField } from "../ui/Field";
import { useNotice } from "../ui/Notices";
import { Failure, Loading } from "../ui/States";
import { day, instant } from "../ui/numbers";
import { capital } from "../ui/words";
import { type About, useMayCheck, useOpenQueries, useVerified } from "./checks";
import styles from "./ItemChecks.module.css";

export interface FieldName {
  name: string;
  label: string;
}

interface Props {
  item: About;
  /** What it is, within a sentence: ``Fever of 2026-03-01``. */
  title: string;
  /** Fields with the labels that the page gives them; others of the entry are named as the record names them. */
  fields?: readonly FieldName[];
  /** Whether there is a source document to hold it against. */
  hasSource?: boolean;
}

/** Nothing for blinded readers, and nothing where there is nothing to say or do. */
export function ItemChecks({ item, title, fields = [], hasSource = true }: Props) {
  const mayAsk = useMayCheck("query.open");
  const mayVerify = useMayCheck("verification.write") && hasSource;
  const open = useOpenQueries(item);
  const verified = useVerified(item);
  const [dialog, setDialog] = useState<"ask" | "verify" | null>(null);
  const label = (name: string) => toLabel(name, fields);
  const isMarked = open > 0 || verified.held.length > 0 || verified.changed.length > 0;
  if (!isMarked && !mayAsk && !mayVerify) return null;
  const about = { item, title, fields, onClose: () => setDialog(null) };
  return (
    <span className={styles.checks} data-checks={item.item_id} data-open={open} data-verified={verified.held.length}>
      {mayAsk || mayVerify ? (
        <span className={styles.acts}>
          {mayAsk ? (
            <Button look="quiet" className={styles.act} aria-label={`Ask about ${title}`} onClick={() => setDialog("ask")}>
              Ask
            </Button>
          ) : null}
          {mayVerify ? (
            <Button look="quiet" className={styles.act} aria-label={`Verify ${title} against the source`} onClick={() => setDialog("verify")}>
              Verify
            </Button>
          ) : null}
        </span>
      ) : null}
      {open > 0 ? (
        <Link className={styles.open ?? ""} href="/queries" aria-label={`${open} open ${open === 1 ? "query" : "queries"} about ${title}`}>
          {open} open {open === 1 ? "query" : "queries"}
        </Link>
      ) : null}
      {verified.held.length > 0 ? (
        <span title={`Agrees with the source: ${verified.held.map(label).join(", ")}`}>
          <Badge tone="good">{verified.held.length === 1 ? "1 field" : `${verified.held.length} fields`} verified</Badge>
        </span>
      ) : null}
      {verified.changed.length > 0 ? (
        <span title={`Others now than when they were verified: ${verified.changed.map(label).join(", ")}`}>
          <Badge tone="caution">changed since verified</Badge>
        </span>
      ) : null}
      {dialog === "ask" ? <AskDialog {...about} /> : null}
      {dialog === "verify" ? <VerifyDialog {...about} held={verified.held} /> : null}
    </span>
  );
}

interface Dialogue {
  item: About;
  title: string;
  fields: readonly FieldName[];
  onClose: () => void;
}

function AskDialog({ item, title, fields, onClose }: Dialogue) {
  const held = useItem(item.kind, item.item_id);
  const values = held.data?.item.values ?? {};
  const [field, setField] = useState("");
  const change = useChange();
  const say = useNotice();
  return (
    <ReasonDialog
      title={`Ask about ${title}`}
      action="Ask"
      label="Question"
      onClose={onClose}
      onDone={async (question) => {
        await change.mutateAsync({ method: "POST", path: "/api/query", body: { about_kind: item.kind, about_item_id: item.item_id, about_field: field, question } });
        say("The query was asked; the site answers it on the page of queries");
      }}
    >
      <div className={styles.above}>
        <SelectField
          label="Field"
          empty="the entry as a whole"
          value={field}
          onChange={(event) => setField(event.target.value)}
          options={listFields(fields, values).map((one) => ({ value: one.name, label: one.label }))}
        />
        {field ? (
          <p className={styles.present}>
            In the record now: <span className={styles.value}>{toText(values[field])}</span>
          </p>
        ) : null}
      </div>
    </ReasonDialog>
  );
}

/** What a monitor holds against the source: the values as they stand, each to be ticked. */
function VerifyDialog({ item, title, fields, held: before, onClose }: Dialogue & { held: readonly string[] }) {
  const held = useItem(item.kind, item.item_id);
  const [ticked, setTicked] = useState<ReadonlySet<string>>(new Set());
  const [error, setError] = useState<unknown>(null);
  const change = useChange();
  const say = useNotice();
  const form = useId();
  const values = held.data?.item.values ?? {};
  const shown = listFields(fields, values).filter((one) => values[one.name] !== null && values[one.name] !== undefined);
  const whole = shown.length > 0 && shown.every((one) => ticked.has(one.name));
  const set = (name: string, on: boolean) => setTicked((all) => new Set(on ? [...all, name] : [...all].filter((one) => one !== name)));
  async function send(event: FormEvent) {
    event.preventDefault();
    setError(null);
    try {
      await change.mutateAsync({
        method: "POST",
        path: "/api/verification",
        etag: held.data?.etag ?? "",
        body: { about_kind: item.kind, about_item_id: item.item_id, verified_fields: [...ticked] },
      });
      say("The verification was noted");
      onClose();
    } catch (problem) {
      setError(problem);
    }
  }
  return (
    <Dialog
      title={`Verify ${title}`}
      onClose={onClose}
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" form={form} look="main" busy={change.isPending} disabled={ticked.size === 0}>
            Agrees with the source
          </Button>
        </>
      }
    >
      {held.data ? (
        <form id={form} className={styles.form} onSubmit={(event) => void send(event)}>
          <div className={styles.head}>
            <p className={styles.present}>Tick what you have seen in the source document.</p>
            <Button look="quiet" onClick={() => setTicked(new Set(whole ? [] : shown.map((one) => one.name)))}>
              {whole ? "None" : "All"}
            </Button>
          </div>
          <fieldset className={styles.fields}>
            <legend className="visually-hidden">Fields as they are in the record</legend>
            {shown.map((one) => (
              <CheckField
                key={one.name}
                label={
                  <>
                    {one.label}: <span className={styles.value}>{toText(values[one.name])}</span>
                    {before.includes(one.name) ? <span className={styles.present}> (verified before)</span> : null}
                  </>
                }
                checked={ticked.has(one.name)}
                onChange={(event) => set(one.name, event.target.checked)}
              />
            ))}
          </fieldset>
        </form>
      ) : held.error ? (
        <Failure error={held.error} />
      ) : (
        <Loading what="the entry" />
      )}
      {error ? <Failure error={error} /> : null}
    </Dialog>
  );
}

function listFields(fields: readonly FieldName[], values: Record<string, unknown>): FieldName[] {
  const known = new Set(fields.map((one) => one.name));
  const others = Object.keys(values).filter((name) => !known.has(name));
  return [...fields, ...others.map((name) => ({ name, label: toLabel(name, []) }))];
}

function toLabel(name: string, fields: readonly FieldName[]): string {
  return fields.find((one) => one.name === name)?.label ?? capital(name.replaceAll("_", " "));
}

/** A value of the record as a person reads it. */
function toText(value: unknown): string {
  if (value === null || value === undefined || value === "") return "nothing";
  if (value === true) return "yes";
  if (value === false) return "no";
  if (typeof value === "string" && /^\d{4}-\d{2}-\d{2}$/.test(value)) return day(value);
  if (typeof value === "string" && /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}/.test(value)) return instant(value);
  if (Array.isArray(value)) return value.every((one) => typeof one !== "object") ? value.join(", ") || "nothing" : `${value.length} entries`;
  if (typeof value === "object") return "several values";
  return String(value);
}
