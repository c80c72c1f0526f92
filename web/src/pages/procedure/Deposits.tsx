import { makeKey } from "../../api/client";
import type { Waiting } from "../../api/outbox";
import { Button } from "../../ui/Button";
import { quantity } from "../../ui/numbers";
import type { Asked } from "./ProcedurePage";
import styles from "./Procedure.module.css";
import { type DayDocument, type DepositRow, type Entry, toLocalInstant } from "./day";
import { findNeedleIn, findNextDeposit, suggestDeposit } from "./suggest";

interface Props {
  day: DayDocument;
  entries: readonly Entry[];
  waiting: ReadonlyArray<Waiting<Entry>>;
  mayWrite: boolean;
  ask: (asked: Asked) => void;
  enter: (entry: Entry) => void;
}

/** The next deposit is the one thing that must be on the screen. */
function showInView(part: HTMLElement | null): void {
  part?.scrollIntoView({ block: "nearest" });
}

/** Deposits of the needle that is in, the next one largest; without a needle, all of the plan. */
export function Deposits({ day, entries, waiting, mayWrite, ask, enter }: Props) {
  const needle = findNeedleIn(day);
  const rows = needle ? day.deposits.filter((row) => row.puncture_id === needle.puncture_id || row.planned_ml === null) : day.deposits;
  // What waits for the connection was given all the same: it must not be offered twice, nor its volume be in the syringe.
  const pending = waiting.filter((one) => one.refusal === "").map((one) => one.entry);
  const entered = new Set(
    waiting.filter((one) => one.entry.kind === "deposit").map((one) => `${one.entry.values["track"]}/${one.entry.values["order"]}/${one.entry.values["lesion_id"]}`),
  );
  const isEntered = (row: DepositRow) => row.entry_ids.length > 0 || entered.has(`${row.track}/${row.order}/${row.lesion_id}`);
  const next = needle ? rows.find((row) => row.planned_ml !== null && !isEntered(row)) : findNextDeposit(day);

  function giveAsPlanned(row: DepositRow, leak: "none" | "not_assessed") {
    enter({
      entry_id: makeKey(),
      kind: "deposit",
      occurred_at: toLocalInstant(new Date()),
      values: Object.fromEntries(Object.entries({ ...suggestDeposit(day, row, pending, entries), leak }).filter(([, value]) => value !== undefined)),
    });
  }

  return (
    <section aria-label="Deposits" className={styles.list}>
      {rows.map((row) => {
        const state = isEntered(row) ? "given" : row === next && needle ? "next" : "open";
        return (
          <div key={row.key} ref={state === "next" ? showInView : undefined} className={styles.deposit} data-state={state} data-deposit={row.key}>
            <div>
              <strong>{quantity(row.planned_ml ?? row.given_ml, "mL")}</strong> {row.lesion_id}
              <div className={styles.why}>
                {row.puncture_id ? `puncture ${row.puncture_id}` : "not planned"}
                {row.track && row.track > 1 ? `, track ${row.track}` : ""}
                {row.order ? `, stop ${row.order}` : ""} · {quantity(row.depth_mm ?? row.planned_depth_mm, "mm")} from the skin
              </div>
              {row.entry_ids.length > 0 ? (
                <div>
                  given {quantity(row.given_ml, "mL")}, leaked {quantity(row.leaked_ml, "mL")}
                  {row.stop_reason && row.stop_reason !== "planned_volume_given" ? `, ended: ${row.stop_reason.replaceAll("_", " ")}` : ""}
                </div>
              ) : state === "given" ? (
                <div className={styles.why}>entered, waits for the connection</div>
              ) : null}
            </div>
            {state === "next" && mayWrite ? (
              <div className={styles.buttons}>
                <Button large look="main" onClick={() => giveAsPlanned(row, "none")}>
                  Given, no leak
                </Button>
                <Button large onClick={() => ask({ kind: "deposit", known: suggestDeposit(day, row, pending, entries) })}>
                  Otherwise …
                </Button>
              </div>
            ) : null}
          </div>
        );
      })}
    </section>
  );
}
