/** What is labelled and what was derived: shown or hidden, accepted by name, or redrawn. */
import { useEffect, useState } from "react";
import { CSRF_HEADER, makeKey, sendPatiently } from "../../api/client";
import { toProblem } from "../../api/problem";
import { Badge } from "../../ui/Badge";
import { Button } from "../../ui/Button";
import { ReasonDialog } from "../../ui/Dialog";
import { CheckField, SelectField, TextField } from "../../ui/Field";
import { Failure } from "../../ui/States";
import type { Mode, Planes } from "../../viewer/planes";
import styles from "./PlanPage.module.css";
import { toColour } from "./colours";
import type { AcceptedStructure, Drawn, Scene } from "./model";

interface Props {
  scene: Scene;
  accepted: readonly AcceptedStructure[];
  hidden: ReadonlySet<number>;
  onHide: (value: number, hide: boolean) => void;
  mayWrite: boolean;
  mayDraw: boolean;
  onAccept: (accepted: AcceptedStructure) => Promise<unknown>;
  planes: Planes | null;
  mode: Mode;
  onMode: (mode: Mode) => void;
  onDrawn: (drawn: Drawn) => void;
}

export function StructuresPanel(props: Props) {
  const { scene, accepted, hidden, onHide, mayWrite, onAccept } = props;
  const [asked, setAsked] = useState<string | null>(null);
  const isNew = new Set(scene.lesions.filter((one) => one.is_new).map((one) => one.lesion_id));
  return (
    <div className={styles.stack}>
      <ul className={styles.structures}>
        {scene.labels.map((row) => {
          const [r, g, b] = toColour(row.kind, row.role, row.lesion_id !== null && isNew.has(row.lesion_id));
          const by = accepted.find((one) => one.structure === row.kind);
          return (
            <li key={row.value}>
              <CheckField
                label={
                  <>
                    <i className={styles.swatch} style={{ background: `rgb(${r} ${g} ${b})` }} /> {row.lesion_id ? `${row.lesion_id} ` : ""}
                    {row.lesion_id ? row.role : row.name}
                  </>
                }
                checked={!hidden.has(row.value)}
                onChange={(event) => onHide(row.value, !event.target.checked)}
              />
              {row.origin === "given" ? (
                <Badge>labelled</Badge>
              ) : by ? (
                <Badge tone="good">accepted: {by.accepted_by}</Badge>
              ) : (
                <Badge tone="caution">derived</Badge>
              )}
              {row.origin === "derived" && !by && mayWrite ? (
                <Button look="quiet" aria-label={`Accept ${row.name}`} onClick={() => setAsked(row.kind)}>
                  Accept
                </Button>
              ) : null}
            </li>
          );
        })}
      </ul>
      {props.mayDraw ? <DrawTools {...props} /> : null}
      {asked ? (
        <ReasonDialog
          title={`Accept ${asked.replaceAll("_", " ")}`}
          action="Accept"
          label="Your name, as reviewer"
          onClose={() => setAsked(null)}
          onDone={(name) => onAccept({ structure: asked, accepted_by: name })}
        >
          <p>You have looked at every slice of this derived structure, and it is where it should be.</p>
        </ReasonDialog>
      ) : null}
    </div>
  );
}

/** What a drawing is of: a lesion of the plan, a new one, or a structure. */
interface Target {
  key: string;
  text: string;
  /** The label's name in the record. */
  name: string;
  /** Lesion that it takes the place of. */
  lesionId: string;
  /** Value of the present outline on the map; none where nothing is there. */
  value: number | null;
}

const NEVER_MISSING = ["gallbladder", "stomach", "bowel", "heart", "bile_duct"];
const PENS = [1, 3, 7, 15];

function listTargets(scene: Scene): Target[] {
  const lesions = scene.lesions.map((one) => ({ key: `lesion:${one.lesion_id}`, text: `${one.lesion_id}, lesion`, name: "lesion", lesionId: one.lesion_id, value: one.value }));
  const held = scene.labels.filter((row) => row.lesion_id === null);
  const kinds = [...new Set([...held.map((row) => row.kind), ...NEVER_MISSING])];
  const structures = kinds.map((kind) => ({
    key: kind,
    text: kind.replaceAll("_", " "),
    name: kind.replaceAll("_", " "),
    lesionId: "",
    value: held.find((row) => row.kind === kind)?.value ?? null,
  }));
  return [{ key: "new", text: "a new lesion", name: "lesion", lesionId: "", value: null }, ...lesions, ...structures];
}

/** Brush, eraser, click-to-grow; what is saved takes the place of what it redraws in the next plan. */
function DrawTools({ scene, planes, mode, onMode, onDrawn }: Props) {
  const targets = listTargets(scene);
  const [key, setKey] = useState("new");
  const target = targets.find((one) => one.key === key) ?? (targets[0] as Target);
  const [pen, setPen] = useState(3);
  const [title, setTitle] = useState("");
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const draws = mode === "draw" || mode === "erase" || mode === "grow";
  useEffect(() => planes?.setPenSize(pen), [planes, pen]);
  function choose(next: string) {
    setKey(next);
    const value = targets.find((one) => one.key === next)?.value ?? null;
    // What nobody has drawn on yet begins with the present outline; what was drawn is never lost to a choice.
    if (value !== null && planes?.countDrawn() === 0) planes.takeIntoDrawing(value);
  }
  async function save() {
    if (!planes) return;
    setBusy(true);
    setError(null);
    try {
      const bytes = planes.countDrawn() > 0 ? await planes.saveDrawing() : null;
      if (!bytes) throw toProblem(422, { expected: "something drawn", given: "nothing", action: "draw on a plane first" });
      const words = new URLSearchParams({
        names: JSON.stringify({ 1: target.name }),
        title: title.trim() || `${target.lesionId || target.name}, ${target.value === null ? "drawn" : "redrawn"}`,
        plan_id: scene.plan_id,
        ...(target.lesionId ? { lesion_id: target.lesionId } : {}),
      });
      const request = new Request(`/api/scan/${scene.scan_id}/labels/upload?${words.toString()}`, {
        method: "POST",
        headers: { ...CSRF_HEADER, "content-type": "application/octet-stream", "idempotency-key": makeKey() },
        body: new Uint8Array(bytes),
      });
      const answer = await sendPatiently(request);
      const made = (await answer.json().catch(() => null)) as { item_id: string } | null;
      if (!answer.ok || !made) throw toProblem(answer.status, made);
      planes.dropDrawing();
      onMode("look");
      onDrawn({ scanId: made.item_id, name: target.name, redraws: target.lesionId || (target.value === null ? "" : target.name) });
    } catch (problem) {
      setError(problem);
    } finally {
      setBusy(false);
    }
  }
  return (
    <section className={styles.card}>
      <h3>Redraw</h3>
      <div className={styles.row}>
        <Button pressed={mode === "draw"} onClick={() => onMode("draw")}>
          Brush
        </Button>
        <Button pressed={mode === "grow"} onClick={() => onMode("grow")}>
          Grow
        </Button>
        <Button pressed={mode === "erase"} onClick={() => onMode("erase")}>
          Erase
        </Button>
        {draws ? <Button onClick={() => planes?.undoDrawing()}>Undo</Button> : null}
      </div>
      {draws ? (
        <>
          <SelectField label="What is drawn" value={key} onChange={(event) => choose(event.target.value)} options={targets.map((one) => ({ value: one.key, label: one.text }))} />
          {target.value === null ? null : (
            <div className={styles.row}>
              <span className={styles.quiet}>Takes the place of {target.lesionId || `all ${target.name}`} in the next plan; the old outline stays in the record.</span>
              <Button look="quiet" onClick={() => planes?.takeIntoDrawing(target.value ?? 0)}>
                Add the present outline
              </Button>
            </div>
          )}
          <SelectField label="Brush width" value={String(pen)} onChange={(event) => setPen(Number(event.target.value))} options={PENS.map((size) => ({ value: String(size), label: size === 1 ? "1 voxel" : `${size} voxels` }))} />
          <TextField label="Title" value={title} maxLength={200} placeholder="who drew it, and why" onChange={(event) => setTitle(event.target.value)} />
          <div className={styles.row}>
            <Button look="main" busy={busy} onClick={() => void save()}>
              Save the labels
            </Button>
            <Button
              onClick={() => {
                planes?.dropDrawing();
                onMode("look");
              }}
            >
              Discard
            </Button>
          </div>
        </>
      ) : (
        <p className={styles.quiet}>Closed outlines fill themselves; Grow takes the region under a click. A new plan can use what you save.</p>
      )}
      {error ? <Failure error={error} /> : null}
    </section>
  );
}
