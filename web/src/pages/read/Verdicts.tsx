/** What the response engine says, visit by visit, and why. */
import { useState } from "react";
import { Badge, type Tone } from "../../ui/Badge";
import { Button } from "../../ui/Button";
import { Facts } from "../../ui/Facts";
import { Empty } from "../../ui/States";
import { change, quantity } from "../../ui/numbers";
import styles from "./ReadPage.module.css";
import type { ReadVerdict, ReadVerdicts } from "./hooks";

interface Noise {
  two_readers: number[];
  two_readers_codes: string[];
}

interface Numbers {
  rule: string;
  sum: number | string;
  sum_is_complete: boolean;
  missing: string[];
  baseline: number | string;
  nadir: number | string;
  above_response_limit: number | string;
  below_progression_limit: number | string;
  lesions: Record<string, number | string>;
  noise: Noise | string;
}

const WORDS: Record<string, string> = {
  "recist-1.1": "RECIST 1.1",
  irecist: "iRECIST",
  itrecist: "itRECIST-based",
  mrecist: "mRECIST",
  volumetric: "volumetric",
};

export function nameCriterion(criterion: string): string {
  return WORDS[criterion] ?? criterion;
}

export function toTone(code: string): Tone {
  if (/CR|PR/.test(code) && !code.includes("NON")) return "good";
  if (code.includes("PD") && !code.includes("NON")) return "bad";
  return code === "NE" ? "caution" : "quiet";
}

function toSize(value: number | string, unit: string): string {
  return typeof value === "number" ? quantity(value, unit) : value;
}

/** How far a sum is from a limit, in words: a sign would have to be explained. */
function toDistance(value: number | string, unit: string, positive: string, negative: string): string {
  if (typeof value !== "number") return value;
  return `${quantity(Math.abs(value), unit)} ${value > 0 ? positive : negative}`;
}

function toRule(rule: string): string {
  return rule.replaceAll("-", " ").replaceAll("_", " ");
}

function toChange(now: number | string, before: number | string): string {
  return typeof now === "number" && typeof before === "number" && before > 0 ? change(now / before - 1) : "–";
}

export function Verdicts({ answer }: { answer: ReadVerdicts }) {
  const [open, setOpen] = useState<number | null>(null);
  const shown = open ?? answer.verdicts.length - 1;
  const unit = answer.criterion === "volumetric" ? "mm³" : "mm";
  if (answer.verdicts.length === 0) {
    return (
      <>
        <Empty title="No response yet">{answer.not_evaluable}</Empty>
        <Findings findings={answer.findings} />
      </>
    );
  }
  return (
    <div className={styles.verdicts} data-verdicts={answer.verdicts.length}>
      <table className={styles.sizes}>
        <caption className="visually-hidden">Response by visit, {nameCriterion(answer.criterion)}</caption>
        <thead>
          <tr>
            <th scope="col">Visit</th>
            <th scope="col">Target</th>
            <th scope="col">Non-t.</th>
            <th scope="col">New</th>
            <th scope="col">Overall</th>
            <th scope="col">
              <span className="visually-hidden">Reasons</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {answer.verdicts.map((row, number) => (
            <tr key={`${row.visit_number}-${row.group}`} data-chosen={number === shown} data-visit={row.visit_number} data-group={row.group}>
              <td>
                {row.visit_number}
                {row.group ? <span className={styles.group}> {row.group.toLowerCase()}</span> : null}
              </td>
              <td>{row.target || "–"}</td>
              <td>{row.non_target || "–"}</td>
              <td>{row.new || "–"}</td>
              <td data-overall={row.overall}>
                <Badge tone={toTone(row.overall)}>{row.overall}</Badge>
              </td>
              <td>
                <Button look="quiet" className={styles.small ?? ""} pressed={number === shown} onClick={() => setOpen(number)} aria-label={`Why at visit ${row.visit_number} ${row.group}`}>
                  Why
                </Button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {answer.verdicts[shown] ? <Trail row={answer.verdicts[shown]} unit={unit} /> : null}
      <Findings findings={answer.findings} />
    </div>
  );
}

function Findings({ findings }: { findings: readonly string[] }) {
  if (findings.length === 0) return null;
  return (
    <ul className={styles.findings} aria-label="About the marks">
      {findings.map((text) => (
        <li key={text}>{text}</li>
      ))}
    </ul>
  );
}

function Trail({ row, unit }: { row: ReadVerdict; unit: string }) {
  const numbers = row.trail["numbers"] as Numbers | undefined;
  const noise = numbers?.noise;
  const rows: Array<readonly [string, string]> = [["Overall by", toRule(row.rule)]];
  if (numbers) {
    rows.push(
      ["Target by", toRule(numbers.rule)],
      ["Sum", `${toSize(numbers.sum, unit)}${numbers.sum_is_complete ? "" : ` without ${numbers.missing.join(", ")}`}`],
      ["From baseline", `${toSize(numbers.baseline, unit)}, ${toChange(numbers.sum, numbers.baseline)}`],
      ["From nadir", `${toSize(numbers.nadir, unit)}, ${toChange(numbers.sum, numbers.nadir)}`],
      ["Lesions", Object.entries(numbers.lesions).map(([name, size]) => `${name} ${toSize(size, unit)}`).join(", ")],
      ["Response limit", toDistance(numbers.above_response_limit, unit, "above it", "below it")],
      ["Progression limit", toDistance(numbers.below_progression_limit, unit, "below it", "above it")],
    );
    if (noise) {
      rows.push([
        "Two readers",
        typeof noise === "string" ? noise : `${noise.two_readers.map((value) => quantity(value, unit)).join(" to ")}: ${noise.two_readers_codes.join(" or ")}`,
      ]);
    }
  }
  return (
    <div className={styles.trail} data-trail={row.visit_number}>
      <h3>
        Visit {row.visit_number}: {row.overall}
      </h3>
      <Facts rows={rows} />
    </div>
  );
}
