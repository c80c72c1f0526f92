/** Two locked reads of the same scans: where they differ, which of them holds, and why. */
import { useCallback, useRef, useState } from "react";
import { useChange } from "../../api/items";
import { useShortcut } from "../../shell/shortcuts";
import { Badge } from "../../ui/Badge";
import { Button } from "../../ui/Button";
import { ReasonDialog } from "../../ui/Dialog";
import { SelectField } from "../../ui/Field";
import { useNotice } from "../../ui/Notices";
import { Scrollable } from "../../ui/Scrollable";
import { Empty } from "../../ui/States";
import { quantity } from "../../ui/numbers";
import { unitOf } from "../../ui/units";
import { LockDialog } from "./LockDialog";
import type { DrawnLine } from "./Pane";
import styles from "./ReadPage.module.css";
import { Foot, ROLE_WORDS, nameScan } from "./Reading";
import { type Side, Twin, type TwinHandle } from "./Twin";
import { nameCriterion, toTone } from "./Verdicts";
import type { Difference, ReadPageAnswer, ReadVerdicts } from "./hooks";
import { type Link, findMiddle, toLines } from "./marks";
import { WINDOWS, type WindowName } from "./windows";

const SAME: Link = { how: "table", shift: [0, 0, 0] };
const FIELD_WORDS: Record<string, string> = {
  longest_diameter_mm: "longest",
  short_axis_mm: "short axis",
  volume_ml: "volume",
  state: "state",
  lesion_role: "role",
};
const MEANING = "decided between both reads";

function toWord(field: string, value: unknown): string {
  if (value === null || value === undefined) return "–";
  return typeof value === "number" ? quantity(value, unitOf(field)) : String(value).toLowerCase();
}

export function Adjudication({ page }: { page: ReadPageAnswer }) {
  const { read, scans, pair, differences } = page;
  const [scanId, setScanId] = useState(differences[0]?.scan_id || (scans.at(-1)?.scan_id ?? ""));
  const [chosen, setChosen] = useState<Difference | null>(differences[0] ?? null);
  const [active, setActive] = useState<Side>("left");
  const [shades, setShades] = useState<WindowName>("soft tissue");
  const [asked, setAsked] = useState<string | null>(null);
  const [locks, setLocks] = useState<"lock" | "sign" | null>(null);
  const [shown, setShown] = useState(0);
  const onShown = useCallback(() => setShown((count) => count + 1), []);
  const twin = useRef<TwinHandle>(null);
  const change = useChange();
  const say = useNotice();
  const scan = scans.find((one) => one.scan_id === scanId) ?? scans[0];
  const isLocked = read.state === "locked" || !page.is_own;
  const [one, other] = pair;

  function show(row: Difference) {
    setChosen(row);
    if (row.scan_id !== scanId) {
      setShown(0);
      setScanId(row.scan_id);
      return;
    }
    for (const part of pair) {
      const mark = part.marks.find((found) => found.scan_id === row.scan_id && found.values.lesion_id === row.lesion_id);
      const { long } = toLines(mark?.values.ends_lps_mm);
      if (long) twin.current?.goTo("left", findMiddle(long));
    }
  }
  function walk(by: number) {
    const number = differences.findIndex((row) => row === chosen);
    const next = differences[(number + by + differences.length) % Math.max(1, differences.length)];
    if (next) show(next);
  }
  useShortcut("n", "Next difference", () => walk(1));
  useShortcut("p", "Previous difference", () => walk(-1));
  useShortcut("ArrowUp", "Next slice toward the head", () => twin.current?.step(1));
  useShortcut("ArrowDown", "Next slice toward the feet", () => twin.current?.step(-1));

  function listLines(part: typeof one): DrawnLine[] {
    return (part?.marks ?? []).flatMap((mark): DrawnLine[] => {
      if (mark.scan_id !== scan?.scan_id) return [];
      const lines = toLines(mark.values.ends_lps_mm);
      const lesion = page.lesions.find((found) => found.lesion_id === mark.values.lesion_id);
      const look = mark.values.lesion_id === chosen?.lesion_id ? "chosen" : mark.values.lesion_role === "NEW" ? "new" : "saved";
      return (["long", "short"] as const).flatMap((axis) => (lines[axis] ? [{ name: lesion?.name ?? "", axis, line: lines[axis], look }] : []));
    });
  }
  if (!scan || !one || !other) return <Empty title="Nothing to decide">The two reads are not there.</Empty>;
  const names = pair.map((part) => ROLE_WORDS[part.read.role] ?? part.read.role);
  return (
    <div className={styles.room} data-ready="true" data-shown={shown >= (scan.address ? 2 : 0) ? "all" : "part"} data-read-state={read.state}>
      <h1 className="visually-hidden">Adjudication of {page.subject_id}</h1>
      <div className={styles.tools}>
        <strong>{page.subject_id}</strong>
        <span className={styles.quiet}>Adjudication · {nameCriterion(read.criterion)}</span>
        <Badge tone={read.state === "locked" ? "good" : "quiet"}>{read.state}</Badge>
        {page.is_blinded ? <Badge tone="quiet">blinded</Badge> : null}
        <span className={styles.grow} />
        <SelectField
          label="Scan"
          className={styles.inline ?? ""}
          value={scan.scan_id}
          options={scans.map((found) => ({ value: found.scan_id, label: nameScan(found) }))}
          onChange={(event) => {
            setShown(0);
            setScanId(event.target.value);
          }}
        />
        <SelectField label="Window" className={styles.inline ?? ""} value={shades} options={Object.keys(WINDOWS).map((value) => ({ value, label: value }))} onChange={(event) => setShades(event.target.value as WindowName)} />
      </div>
      <div className={styles.work}>
        <Twin
          left={{ head: <strong>{names[0]}</strong>, label: `${names[0]}, ${nameScan(scan)}`, address: scan.address, lines: listLines(one), measures: false }}
          right={{ head: <strong>{names[1]}</strong>, label: `${names[1]}, ${nameScan(scan)}`, address: scan.address, lines: listLines(other), measures: false }}
          active={active}
          link={SAME}
          window={WINDOWS[shades]}
          handle={twin}
          onActive={setActive}
          onMeasured={() => undefined}
          onShown={onShown}
        />
        <aside className={styles.side} aria-label="Both reads">
          <div className={styles.part}>
            <h2>Response</h2>
            <Responses names={names} answers={pair.map((part) => part.verdicts)} />
            <h2>Differences</h2>
            {differences.length === 0 ? (
              <Empty title="Both reads say the same" />
            ) : (
              <Scrollable label="Differences">
                <table className={styles.sizes}>
                  <caption className="visually-hidden">Where the two reads differ</caption>
                  <thead>
                    <tr>
                      <th scope="col">Visit</th>
                      <th scope="col">Lesion</th>
                      <th scope="col">What</th>
                      {names.map((name) => (
                        <th key={name} scope="col" className={styles.number}>
                          {name}
                        </th>
                      ))}
                    </tr>
                  </thead>
                  <tbody>
                    {differences.flatMap((row) =>
                      row.fields.map((field, number) => (
                        <tr key={`${row.scan_id}-${row.lesion_id}-${field}`} data-difference={`${row.visit_number}/${row.lesion_label}/${field}`} data-chosen={row === chosen} onClick={() => show(row)}>
                          <td>{number === 0 ? row.visit_number : ""}</td>
                          <td>
                            {number === 0 ? (
                              <button type="button" className={styles.pick} aria-pressed={row === chosen} onClick={() => show(row)}>
                                {row.lesion_label}
                              </button>
                            ) : null}
                          </td>
                          <td>{FIELD_WORDS[field] ?? field}</td>
                          {row.values.map((values, side) => (
                            <td key={names[side]} className={styles.number}>
                              {Object.keys(values).length === 0 ? "no mark" : toWord(field, values[field])}
                            </td>
                          ))}
                        </tr>
                      )),
                    )}
                  </tbody>
                </table>
              </Scrollable>
            )}
            <h2>Decision</h2>
            {read.chosen_read_id ? (
              <p data-decision={read.chosen_read_id}>
                {names[pair.findIndex((part) => part.read.item_id === read.chosen_read_id)]} holds: {read.choice_reason}
              </p>
            ) : (
              <p className={styles.quiet}>Not decided yet.</p>
            )}
            {isLocked ? null : (
              <div className={styles.row}>
                {pair.map((part, number) => (
                  <Button key={part.read.item_id} pressed={read.chosen_read_id === part.read.item_id} onClick={() => setAsked(part.read.item_id)}>
                    {names[number]} holds
                  </Button>
                ))}
              </div>
            )}
          </div>
          <Foot page={page} isLocked={isLocked} open={[]} onLock={() => setLocks("lock")} onSign={() => setLocks("sign")} />
        </aside>
      </div>
      {asked ? (
        <ReasonDialog
          title={`${names[pair.findIndex((part) => part.read.item_id === asked)]} holds`}
          action="Choose"
          onClose={() => setAsked(null)}
          onDone={async (reason) => {
            await change.mutateAsync({ method: "POST", path: `/api/read/${read.item_id}/choice`, etag: page.etag, body: { chosen_read_id: asked, reason } });
            say("The choice was kept; it can be changed until the read is locked");
          }}
        />
      ) : null}
      {locks ? <LockDialog readId={read.item_id} etag={page.etag} onlySign={locks === "sign"} open={[]} meaning={MEANING} onClose={() => setLocks(null)} onDone={() => setLocks(null)} /> : null}
    </div>
  );
}

function Responses({ names, answers }: { names: readonly string[]; answers: readonly ReadVerdicts[] }) {
  const keys = [...new Set(answers.flatMap((answer) => answer.verdicts.map((row) => `${row.visit_number} ${row.group.toLowerCase()}`.trim())))];
  if (keys.length === 0) return <p className={styles.quiet}>{answers.map((answer, number) => `${names[number]}: ${answer.not_evaluable}`).join("; ")}</p>;
  return (
    <table className={styles.sizes}>
      <caption className="visually-hidden">Response by both reads</caption>
      <thead>
        <tr>
          <th scope="col">Visit</th>
          {names.map((name) => (
            <th key={name} scope="col">
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {keys.map((key) => (
          <tr key={key} data-visit={key}>
            <td>{key}</td>
            {answers.map((answer, number) => {
              const row = answer.verdicts.find((found) => `${found.visit_number} ${found.group.toLowerCase()}`.trim() === key);
              return (
                <td key={names[number]} data-overall={row?.overall ?? ""}>
                  {row ? <Badge tone={toTone(row.overall)}>{row.overall}</Badge> : "–"}
                </td>
              );
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
