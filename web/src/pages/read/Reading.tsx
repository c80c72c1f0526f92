/** A reader's workplace: baseline and follow-up side by side, lesions, measuring, verdict, lock. */
import { useCallback, useMemo, useRef, useState } from "react";
import { Badge } from "../../ui/Badge";
import { Button } from "../../ui/Button";
import { ReasonDialog } from "../../ui/Dialog";
import { SelectField } from "../../ui/Field";
import { Empty } from "../../ui/States";
import { day, instant } from "../../ui/numbers";
import { useShortcut } from "../../shell/shortcuts";
import { LesionList } from "./LesionList";
import { LockDialog } from "./LockDialog";
import { MarkForm } from "./MarkForm";
import { NewLesionDialog } from "./NewLesionDialog";
import type { DrawnLine } from "./Pane";
import styles from "./ReadPage.module.css";
import { type Side, Twin, type TwinHandle } from "./Twin";
import { Verdicts, nameCriterion } from "./Verdicts";
import { type MarkBody, type ReadPageAnswer, type ReadScan, useMarks, useSignatures } from "./hooks";
import { type Axis, type Basis, type Draft, type Line, findMark, findMiddle, listLesions, measureLine, proposeMatch, toDraft, toEnds, toFollowUp, toLines, toNumber } from "./marks";
import { toLinkWords, useLink } from "./useLink";
import { WINDOWS, type WindowName } from "./windows";

export const ROLE_WORDS: Record<string, string> = { reader_1: "Reader 1", reader_2: "Reader 2", adjudicator: "Adjudicator" };
const MEANING = "read complete and correct";

export function nameScan(scan: ReadScan): string {
  return [`Visit ${scan.visit_number}`, scan.acquired_date ? day(scan.acquired_date) : "", scan.phase_hint].filter(Boolean).join(", ");
}

/** What the form would save. */
function toBody(draft: Draft, basis: MarkBody["match_basis"]): MarkBody {
  const gone = draft.state === "ABSENT" || draft.state === "NOT EVALUABLE";
  return {
    lesion_id: draft.lesionId,
    scan_id: draft.scanId,
    lesion_role: draft.role,
    state: draft.state,
    longest_diameter_mm: gone ? null : toNumber(draft.longest_diameter_mm),
    short_axis_mm: gone ? null : toNumber(draft.short_axis_mm),
    volume_ml: gone ? null : toNumber(draft.volume_ml),
    ends_lps_mm: gone ? null : toEnds(draft.long, draft.short),
    ...(basis ? { match_basis: basis } : {}),
  };
}

export function Reading({ page }: { page: ReadPageAnswer }) {
  const { read, scans, marks } = page;
  const lesions = useMemo(() => listLesions(page), [page]);
  const isLocked = read.locked || read.state === "locked" || !page.is_own;
  const [followUp, setFollowUp] = useState(() => scans.slice(1).find((scan) => !marks.some((mark) => mark.scan_id === scan.scan_id))?.scan_id ?? scans.at(-1)?.scan_id ?? "");
  const baseline = scans[0];
  const right = scans.length > 1 ? scans.find((scan) => scan.scan_id === followUp) : undefined;
  const [chosen, setChosen] = useState(lesions[0]?.lesion_id ?? "");
  const [active, setActive] = useState<Side>(marks.length > 0 && right ? "right" : "left");
  const [axis, setAxis] = useState<Axis | null>(null);
  const [changed, setChanged] = useState<Draft | null>(null);
  const [basis, setBasis] = useState<Basis | null>(null);
  const [shades, setShades] = useState<WindowName>("soft tissue");
  const [tab, setTab] = useState<"mark" | "verdict">(isLocked ? "verdict" : "mark");
  const [dialog, setDialog] = useState<"lock" | "sign" | "lesion" | "remove" | null>(null);
  const [done, setDone] = useState<{ text: string; undo: () => void } | null>(null);
  const [shown, setShown] = useState(0);
  const onShown = useCallback(() => setShown((count) => count + 1), []);
  const twin = useRef<TwinHandle>(null);
  const { link, toggle, linkHere, turn, controls, row } = useLink(twin, { readId: read.item_id, followUpId: right?.scan_id ?? "", mayAsk: page.is_own || !page.is_blinded });
  const { save, remove } = useMarks(read.item_id);

  const scan = active === "left" || !right ? baseline : right;
  const lesion = lesions.find((one) => one.lesion_id === chosen) ?? lesions[0];
  const mark = scan && lesion ? findMark(marks, scan.scan_id, lesion.lesion_id) : undefined;
  const isBaseline = scan === baseline;
  const isDirty = changed !== null && changed.lesionId === lesion?.lesion_id && changed.scanId === scan?.scan_id;
  const draft = isDirty ? changed : lesion && scan ? toInitial(lesion, scan.scan_id, isBaseline) : null;
  const proposal = draft && !isBaseline && lesion?.role !== "NEW" && draft.role !== "NEW" ? proposeMatch(page, draft.lesionId, draft.long, link) : null;

  function toInitial(one: NonNullable<typeof lesion>, scanId: string, atBaseline: boolean): Draft {
    const found = toDraft(one, scanId, findMark(marks, scanId, one.lesion_id), atBaseline);
    const isNew = !atBaseline && found.role === "NEW" && found.state === "PRESENT";
    return isNew ? { ...found, state: "EQUIVOCAL" } : found;
  }
  function choose(lesionId: string) {
    setChosen(lesionId);
    setBasis(null);
    const side: Side = active;
    const at = findPlace(lesionId, side);
    if (at) twin.current?.goTo(side, at);
  }
  /** Where a lesion lies on a side: its own line, else the baseline's through the link. */
  function findPlace(lesionId: string, side: Side) {
    const own = toLines(findMark(marks, (side === "left" ? baseline : right)?.scan_id ?? "", lesionId)?.values.ends_lps_mm).long;
    if (own) return findMiddle(own);
    const first = toLines(findMark(marks, baseline?.scan_id ?? "", lesionId)?.values.ends_lps_mm).long;
    return first && side === "right" && link.how !== "off" ? toFollowUp(link, findMiddle(first)) : null;
  }
  function walk(by: number) {
    const number = lesions.findIndex((one) => one.lesion_id === lesion?.lesion_id);
    const next = lesions[(number + by + lesions.length) % Math.max(1, lesions.length)];
    if (next) choose(next.lesion_id);
  }
  function take(side: Side, line: Line) {
    const on = side === "left" || !right ? baseline : right;
    if (!lesion || !on || !axis || isLocked) return;
    const held = changed && changed.lesionId === lesion.lesion_id && changed.scanId === on.scan_id ? changed : toInitial(lesion, on.scan_id, on === baseline);
    const size = measureLine(line).toFixed(1);
    const present = held.state === "ABSENT" || held.state === "NOT EVALUABLE" ? "PRESENT" : held.state;
    setActive(side);
    setTab("mark");
    setChanged(axis === "long" ? { ...held, state: present, long: line, short: null, longest_diameter_mm: size, short_axis_mm: "" } : { ...held, state: present, short: line, short_axis_mm: size });
    setAxis(axis === "long" ? "short" : null);
  }
  async function confirm() {
    if (!draft || isLocked || save.isPending || (mark && !isDirty)) return;
    const before = mark;
    const way = isBaseline || draft.role === "NEW" ? null : (basis ?? proposal?.basis ?? "label");
    const answer = await save.mutateAsync({ body: toBody(draft, way), mark: before, reason: "measured again" }).catch(() => null);
    if (!answer) return;
    setChanged(null);
    setAxis(null);
    const name = lesion?.name ?? "";
    const itemId = answer.data.item_id;
    const body = before ? { ...before.values, scan_id: before.scan_id } : null;
    // In the form, not in a corner: a notice would lie over what comes next.
    setDone({
      text: `${name} at visit ${scan?.visit_number ?? ""} was confirmed.`,
      undo: () => {
        setDone(null);
        if (before && body) save.mutate({ body, mark: { ...before, measurement_id: itemId, etag: answer.etag }, reason: "taken back" });
        else remove.mutate({ measurementId: itemId, etag: answer.etag, reason: "taken back" });
      },
    });
  }
  function rematch(lesionId: string, how: Basis) {
    if (!draft) return;
    const to = lesions.find((one) => one.lesion_id === lesionId);
    setChosen(lesionId);
    setBasis(how);
    setChanged({ ...draft, lesionId, role: to?.role || draft.role });
  }

  useShortcut("n", "Next lesion", () => walk(1));
  useShortcut("p", "Previous lesion", () => walk(-1));
  useShortcut("ArrowUp", "Next slice toward the head", () => twin.current?.step(1));
  useShortcut("ArrowDown", "Next slice toward the feet", () => twin.current?.step(-1));
  useShortcut("m", "Measure the longest diameter", () => setAxis(isLocked ? null : axis === "long" ? null : "long"));
  useShortcut("s", "Measure the short axis", () => setAxis(isLocked ? null : axis === "short" ? null : "short"));
  useShortcut("c", "Confirm what was measured", () => void confirm());
  useShortcut("u", "Undo the last confirmation", () => done?.undo());
  useShortcut("Escape", "Stop measuring", () => setAxis(null));
  useShortcut("b", "Work on the baseline", () => setActive("left"));
  useShortcut("f", "Work on the follow-up", () => setActive(right ? "right" : "left"));
  useShortcut("l", "Scroll together, or not", toggle);
  useShortcut("h", "Link the scans as they stand", linkHere);
  useShortcut("g", "Link by registration, or by table position", turn);
  useShortcut("v", "Verdict, or measurement", () => setTab(tab === "mark" ? "verdict" : "mark"));

  function listLines(on: ReadScan | undefined, side: Side): DrawnLine[] {
    if (!on) return [];
    const drawn = lesions.flatMap((one): DrawnLine[] => {
      const isChosen = one.lesion_id === lesion?.lesion_id;
      const held = isChosen && draft && draft.scanId === on.scan_id ? draft : null;
      const lines = held ?? toLines(findMark(marks, on.scan_id, one.lesion_id)?.values.ends_lps_mm);
      const look = isChosen ? "chosen" : one.role === "NEW" ? "new" : "saved";
      return (["long", "short"] as const).flatMap((name) => (lines[name] ? [{ name: one.name, axis: name, line: lines[name], look }] : []));
    });
    const first = lesion && side === "right" ? toLines(findMark(marks, baseline?.scan_id ?? "", lesion.lesion_id)?.values.ends_lps_mm).long : null;
    const has = drawn.some((one) => one.name === lesion?.name);
    if (first && lesion && !has && link.how !== "off") {
      drawn.push({ name: lesion.name, axis: "long", line: [toFollowUp(link, first[0]), toFollowUp(link, first[1])], look: "ghost" });
    }
    return drawn;
  }

  const volumes = [baseline, right].filter((one) => one?.address).length;
  const open = listOpen(page);
  if (!baseline) return <Empty title="This read names no scan">The coordinator assigns it again.</Empty>;
  return (
    <div className={styles.room} data-ready="true" data-shown={shown >= volumes ? "all" : "part"} data-axis={axis ?? "none"} data-read-state={read.state} data-lesion={lesion?.name ?? ""} data-side={active}>
      <h1 className="visually-hidden">Read of {page.subject_id}</h1>
      <div className={styles.tools}>
        <strong>{page.subject_id}</strong>
        <span className={styles.quiet}>
          {ROLE_WORDS[read.role]}
          {read.reader_name ? `, ${read.reader_name}` : ""} · {nameCriterion(read.criterion)}
        </span>
        <Badge tone={read.state === "locked" ? "good" : "quiet"}>{read.state}</Badge>
        {page.is_blinded ? <Badge tone="quiet">blinded</Badge> : null}
        <span className={styles.grow} />
        {isLocked ? null : (
          <>
            <Button className={styles.small ?? ""} pressed={axis === "long"} onClick={() => setAxis(axis === "long" ? null : "long")}>
              Longest <kbd>m</kbd>
            </Button>
            <Button className={styles.small ?? ""} pressed={axis === "short"} onClick={() => setAxis(axis === "short" ? null : "short")}>
              Short axis <kbd>s</kbd>
            </Button>
          </>
        )}
        <SelectField label="Window" className={styles.inline ?? ""} value={shades} options={Object.keys(WINDOWS).map((value) => ({ value, label: value }))} onChange={(event) => setShades(event.target.value as WindowName)} />
      </div>
      {right ? controls : null}
      <div className={styles.work}>
        <Twin
          left={{ head: <strong>Baseline: {nameScan(baseline)}</strong>, label: `visit ${baseline.visit_number}`, address: baseline.address, lines: listLines(baseline, "left"), measures: axis !== null }}
          right={
            right
              ? {
                  head: (
                    <SelectField
                      label="Follow-up"
                      className={styles.inline ?? ""}
                      value={followUp}
                      options={scans.slice(1).map((one) => ({ value: one.scan_id, label: nameScan(one) }))}
                      onChange={(event) => {
                        setShown(0);
                        setFollowUp(event.target.value);
                      }}
                    />
                  ),
                  label: `visit ${right.visit_number}`,
                  address: right.address,
                  lines: listLines(right, "right"),
                  measures: axis !== null,
                }
              : null
          }
          active={active}
          link={link}
          window={WINDOWS[shades]}
          handle={twin}
          onActive={setActive}
          onMeasured={take}
          onShown={onShown}
        />
        <aside className={styles.side} aria-label="Lesions and response">
          <div className={styles.sideHead}>
            <h2>Lesions</h2>
            {isLocked ? null : (
              <Button className={styles.small ?? ""} onClick={() => setDialog("lesion")}>
                New lesion
              </Button>
            )}
          </div>
          {lesions.length === 0 ? (
            <Empty title="No lesion is named">{isLocked ? "Nothing was found." : "Add those that you see."}</Empty>
          ) : (
            <LesionList
              lesions={lesions}
              marks={marks}
              baselineId={baseline.scan_id}
              followUpId={right?.scan_id ?? ""}
              visits={[baseline.visit_number, right?.visit_number ?? 0]}
              chosen={lesion?.lesion_id ?? ""}
              volumetric={read.criterion === "volumetric"}
              onChoose={choose}
            />
          )}
          <div className={styles.tabs} role="tablist" aria-label="Measurement and response">
            {(["mark", "verdict"] as const).map((one) => (
              <button key={one} type="button" role="tab" id={`tab-${one}`} aria-selected={tab === one} aria-controls="read-part" className={styles.tab} onClick={() => setTab(one)}>
                {one === "mark" ? "Measurement" : "Response"}
              </button>
            ))}
          </div>
          <div id="read-part" role="tabpanel" aria-labelledby={`tab-${tab}`} className={styles.part} tabIndex={0}>
            {tab === "mark" && done && !isLocked ? (
              <p className={styles.row} role="status">
                <span className={styles.quiet}>{done.text}</span>
                <Button className={styles.small ?? ""} onClick={done.undo}>
                  Undo <kbd>u</kbd>
                </Button>
              </p>
            ) : null}
            {tab === "mark" && draft && scan ? (
              <MarkForm
                scan={scan}
                isBaseline={isBaseline}
                lesions={lesions}
                draft={draft}
                mark={mark}
                proposal={proposal}
                isDirty={isDirty}
                isLocked={isLocked}
                criterion={read.criterion}
                busy={save.isPending}
                error={save.error ?? remove.error}
                linkWords={toLinkWords(link, row)}
                nearerBasis={link.how === "registration" ? "registration" : "position"}
                onChange={setChanged}
                onLesion={rematch}
                onConfirm={() => void confirm()}
                onRemove={() => setDialog("remove")}
              />
            ) : null}
            {tab === "verdict" && page.verdicts ? <Verdicts answer={page.verdicts} /> : null}
          </div>
          <Foot page={page} isLocked={isLocked} open={open} onLock={() => setDialog("lock")} onSign={() => setDialog("sign")} />
        </aside>
      </div>
      {dialog === "lock" || dialog === "sign" ? (
        <LockDialog readId={read.item_id} etag={page.etag} onlySign={dialog === "sign"} open={open} meaning={MEANING} onClose={() => setDialog(null)} onDone={() => setDialog(null)} />
      ) : null}
      {dialog === "lesion" ? (
        <NewLesionDialog
          readId={read.item_id}
          onClose={() => setDialog(null)}
          onMade={(lesionId) => {
            setDialog(null);
            setChosen(lesionId);
            save.reset();
            setActive(right ? "right" : "left");
            setTab("mark");
          }}
        />
      ) : null}
      {dialog === "remove" && mark ? (
        <ReasonDialog
          title={`Take ${lesion?.name ?? ""} at visit ${scan?.visit_number ?? ""} back`}
          action="Take back"
          onClose={() => setDialog(null)}
          onDone={(reason) => remove.mutateAsync({ measurementId: mark.measurement_id, etag: mark.etag, reason })}
        >
          <p>The trail keeps what was measured.</p>
        </ReasonDialog>
      ) : null}
    </div>
  );
}

/** Lesions of the baseline that have no mark on a later scan. */
function listOpen(page: ReadPageAnswer): string[] {
  const known = page.lesions.filter((lesion) => lesion.marked && lesion.role !== "NEW");
  return page.scans.flatMap((scan) => {
    const missing = known.filter((lesion) => !findMark(page.marks, scan.scan_id, lesion.lesion_id)).map((lesion) => lesion.name);
    return missing.length > 0 ? [`Visit ${scan.visit_number}: ${missing.join(", ")}`] : [];
  });
}

function toOpenWords(page: ReadPageAnswer, count: number): string {
  if (page.pair.length > 0) return page.read.chosen_read_id ? "Decided, not locked yet" : "Choose the read that holds first";
  if (page.marks.length === 0) return "Nothing is marked yet";
  if (count === 0) return "Every lesion is marked at every visit";
  return count === 1 ? "One visit has lesions that are not marked" : `${count} visits have lesions that are not marked`;
}

interface FootProps {
  page: ReadPageAnswer;
  isLocked: boolean;
  open: readonly string[];
  onLock: () => void;
  onSign: () => void;
}

export function Foot({ page, isLocked, open, onLock, onSign }: FootProps) {
  const isClosed = page.read.state === "locked";
  const signatures = useSignatures(page.read.item_id, isClosed);
  const valid = signatures.data?.filter((one) => one.state === "valid") ?? [];
  return (
    <footer className={styles.foot} data-signed={valid.length}>
      {isClosed ? (
        <>
          <span>{valid[0] ? `Locked and signed ${instant(valid[0].time_utc)}: “${valid[0].meaning}”` : "Locked, not signed"}</span>
          {page.is_own && signatures.data && valid.length === 0 ? <Button onClick={onSign}>Sign</Button> : null}
        </>
      ) : page.is_own ? (
        <>
          <span className={styles.quiet}>{toOpenWords(page, open.length)}</span>
          <Button look="main" disabled={page.pair.length === 0 ? page.marks.length === 0 : page.read.chosen_read_id === ""} onClick={onLock}>
            Lock and sign
          </Button>
        </>
      ) : (
        <span className={styles.quiet}>{isLocked ? "Somebody else's read; nothing can be changed here." : ""}</span>
      )}
    </footer>
  );
}
