/** What is labelled and what was derived: shown or hidden, accepted by name, or redrawn. */
import { useState } from "react";
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
import type { AcceptedStructure, Scene } from "./model";

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
  onDrawn: (scanId: string, name: string) => void;
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

/** Brush, eraser, click-to-grow; saved as labels of their own, which a new plan can use. */
function DrawTools({ scene, planes, mode, onMode, onDrawn }: Props) {
  const kinds = [...new Set(["lesion", ...scene.labels.map((row) => row.kind), "gallbladder", "stomach", "bowel", "heart", "bile_duct"])];
  const [name, setName] = useState("lesion");
  const [title, setTitle] = useState("");
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const draws = mode === "draw" || mode === "erase" || mode === "grow";
  async function save() {
    if (!planes) return;
    setBusy(true);
    setError(null);
    try {
      const bytes = planes.countDrawn() > 0 ? await planes.saveDrawing() : null;
      if (!bytes) throw toProblem(422, { expected: "something drawn", given: "nothing", action: "draw on a plane first" });
      const words = new URLSearchParams({ names: JSON.stringify({ 1: name.replaceAll("_", " ") }), title: title.trim() || `${name}, redrawn` });
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
      onDrawn(made.item_id, name);
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
          <SelectField label="What is drawn" value={name} onChange={(event) => setName(event.target.value)} options={kinds.map((kind) => ({ value: kind, label: kind.replaceAll("_", " ") }))} />
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
