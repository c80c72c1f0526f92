import type { Waiting } from "../../api/outbox";
import { Button } from "../../ui/Button";
import { quantity } from "../../ui/numbers";
import { unitOf } from "../../ui/units";
import type { Asked } from "./ProcedurePage";
import styles from "./Procedure.module.css";
import { type Entry, type EntryKind, toLocalInstant } from "./day";

interface Props {
  entries: readonly Entry[];
  waiting: ReadonlyArray<Waiting<Entry>>;
  kinds: ReadonlyMap<string, EntryKind>;
  mayWrite: boolean;
  ask: (asked: Asked) => void;
  drop: (id: string) => void;
}

/** What was entered, latest first; what waits or was refused stands on top. */
export function Log({ entries, waiting, kinds, mayWrite, ask, drop }: Props) {
  return (
    <>
      <h2>Entered</h2>
      {waiting.map((one) => (
        <div key={one.id} className={styles.entry} data-waiting="true" data-refused={one.refusal !== ""}>
          <div>
            <strong>{kinds.get(one.entry.kind)?.label ?? one.entry.kind}</strong> {summarise(one.entry, kinds)}
            <div className={styles.why}>{one.refusal ? `Refused. ${one.refusal}` : "Waits for the connection"}</div>
          </div>
          {one.refusal ? (
            <div className={styles.buttons}>
              <Button
                onClick={() => {
                  drop(one.id);
                  ask({ kind: one.entry.kind, known: one.entry.values });
                }}
              >
                Mend
              </Button>
            </div>
          ) : null}
        </div>
      ))}
      {[...entries].reverse().map((entry) => (
        <div key={entry.entry_id} className={styles.entry} data-entry={entry.kind}>
          <div>
            {toLocalInstant(new Date(entry.occurred_at)).slice(11, 16)} <strong>{kinds.get(entry.kind)?.label ?? entry.kind}</strong>
            <div className={styles.why}>{summarise(entry, kinds)}</div>
          </div>
          {mayWrite && kinds.has(entry.kind) ? (
            <Button look="quiet" aria-label={`Correct ${kinds.get(entry.kind)?.label ?? entry.kind}`} onClick={() => ask({ kind: entry.kind, known: entry.values, corrects: entry })}>
              Correct
            </Button>
          ) : null}
        </div>
      ))}
    </>
  );
}

function summarise(entry: Entry, kinds: ReadonlyMap<string, EntryKind>): string {
  const fields = kinds.get(entry.kind)?.fields ?? [];
  return fields
    .filter((field) => field.name in entry.values)
    .slice(0, 6)
    .map((field) => {
      const value = entry.values[field.name];
      if (typeof value === "boolean") return value ? field.label.toLowerCase() : `${field.label.toLowerCase()}: no`;
      if (typeof value === "number" && field.type === "number") return quantity(value, unitOf(field.name), Number.isInteger(value) ? 0 : 2);
      if (Array.isArray(value)) return value.join(", ");
      return String(value).replaceAll("_", " ");
    })
    .join(" · ");
}
