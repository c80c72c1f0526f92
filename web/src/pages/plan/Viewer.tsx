/** Three planes and space: scan, labels, spread, needles, skin. */
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { Planes, type Mode, type Window } from "../../viewer/planes";
import { type Surface, Surfaces, toDiscs } from "../../viewer/surfaces";
import type { Point, Tile } from "../../viewer/space";
import { type Needle, Overlay } from "./Overlay";
import styles from "./Viewer.module.css";
import { readColour, toColour, toLabelColours, toSkinColour } from "./colours";
import type { Scene } from "./model";
import { type PackedSurface, type SkinMap, unpack } from "./useScene";

export interface ViewerHandle {
  planes: Planes;
}

interface Props {
  scene: Scene;
  volume: ArrayBuffer | undefined;
  labels: ArrayBuffer | undefined;
  spread: ArrayBuffer | undefined;
  /** Whether a spread is on its way. */
  waitsForSpread: boolean;
  surfaces: PackedSurface[] | undefined;
  skin: SkinMap | undefined;
  hidden: ReadonlySet<number>;
  showSpread: boolean;
  window: Window;
  mode: Mode;
  needle: Needle | null;
  others: readonly Needle[];
  at: Point | null;
  mayDrag: boolean;
  onDrag: (end: "entry" | "tip", to: Point) => void;
  onDrop: () => void;
  onReady: (handle: ViewerHandle) => void;
  onMeasured: (length_mm: number) => void;
  onShown: () => void;
}

export function Viewer(props: Props) {
  const { scene, volume, labels, spread, waitsForSpread, hidden, showSpread, window: shades, mode, at, onReady, onMeasured } = props;
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [planes, setPlanes] = useState<Planes | null>(null);
  const [tiles, setTiles] = useState<Tile[]>([]);
  const told = useRef({ onMeasured });
  told.current = { onMeasured };
  const size = box.current?.getBoundingClientRect();

  const colours = useMemo(() => toLabelColours(scene, hidden), [scene, hidden]);
  const first = useRef({ colours, shades });
  useEffect(() => {
    if (!volume || !labels || (waitsForSpread && !spread) || !canvas.current) return;
    let frame = 0;
    let gone = false;
    const look = () => {
      frame = 0;
      if (!gone && opened) setTiles(made.listTiles());
    };
    let opened = false;
    const made = new Planes(canvas.current, {
      drawn: () => {
        if (!frame) frame = requestAnimationFrame(look);
      },
      moved: () => undefined,
      measured: (found) => told.current.onMeasured(found.length_mm),
    });
    const given = { volume, labels, spread: spread ?? null, colours: first.current.colours, spreadColour: readColour("--spread"), window: first.current.shades };
    void made.open(given).then(() => {
      if (gone) return;
      opened = true;
      setPlanes(made);
      setTiles(made.listTiles());
      onReady({ planes: made });
    });
    return () => {
      gone = true;
      cancelAnimationFrame(frame);
      made.close();
      setPlanes(null);
    };
  }, [volume, labels, spread, waitsForSpread, onReady]);

  useEffect(() => planes?.setLabelColours(colours), [planes, colours]);
  useEffect(() => planes?.showSpread(showSpread), [planes, showSpread]);
  useEffect(() => planes?.setWindow(shades), [planes, shades]);
  useEffect(() => planes?.setMode(mode), [planes, mode]);
  useEffect(() => {
    if (planes && at) planes.moveTo(at);
  }, [planes, at]);

  const { onShown } = props;
  useEffect(() => {
    if (planes) onShown();
  }, [planes, onShown]);
  return (
    <div ref={box} className={styles.viewer} data-viewer={planes ? "overlays" : "empty"}>
      <canvas ref={canvas} className={styles.canvas} tabIndex={0} role="img" aria-label="Axial, coronal and sagittal plane of the scan" />
      {planes && size ? (
        <Overlay
          tiles={tiles}
          width={size.width}
          height={size.height}
          needle={props.needle}
          others={props.others}
          scene={scene}
          mayDrag={props.mayDrag && (mode === "look" || mode === "measure")}
          onDrag={props.onDrag}
          onDrop={props.onDrop}
        />
      ) : (
        <p className={styles.state} role="status">
          Reading the scan …
        </p>
      )}
      <Space {...props} />
    </div>
  );
}

/** The corner in three dimensions. */
function Space({ scene, surfaces, skin, hidden, needle, others }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [space, setSpace] = useState<Surfaces | null>(null);
  useEffect(() => {
    if (!canvas.current) return;
    const made = new Surfaces(canvas.current);
    let gone = false;
    void made.open().then(() => {
      if (gone) made.close();
      else setSpace(made);
    });
    return () => {
      gone = true;
      setSpace((held) => {
        held?.close();
        return null;
      });
    };
  }, []);

  const isNew = useMemo(() => new Set(scene.lesions.filter((one) => one.is_new).map((one) => one.lesion_id)), [scene]);
  const still = useMemo<Surface[]>(() => {
    const found = (surfaces ?? [])
      .filter((one) => !hidden.has(one.value) && (one.kind !== "body" || !skin))
      .map((one) => {
        const row = scene.labels.find((label) => label.value === one.value);
        const [r, g, b] = toColour(one.kind, row?.role ?? "", one.lesion_id !== null && isNew.has(one.lesion_id));
        const alpha = one.kind === "body" ? 26 : one.kind === "liver" ? 120 : one.lesion_id ? 255 : 190;
        return {
          name: one.lesion_id ?? one.kind,
          points: new Float32Array(unpack(one.points)),
          triangles: new Uint32Array(unpack(one.triangles)),
          rgba: [r, g, b, alpha] as const,
        };
      });
    return skin ? [...found, toSkinSurface(skin)] : found;
  }, [surfaces, skin, hidden, scene, isNew]);

  useEffect(() => space?.showSurfaces(still), [space, still]);
  const draw = useCallback(() => {
    if (!space) return;
    const colour = readColour("--needle");
    const lines = [...(needle ? [{ needle, alpha: 255 }] : []), ...others.map((one) => ({ needle: one, alpha: 110 }))].flatMap(
      ({ needle: one, alpha }, number) =>
        one.tips.map((tip, track) => ({
          name: `needle-${number}-${track}`,
          from: one.entry,
          to: tip,
          radius_mm: alpha === 255 ? 1.6 : 1,
          rgba: [colour[0], colour[1], colour[2], alpha] as const,
        })),
    );
    space.showLines(lines);
  }, [space, needle, others]);
  useEffect(() => {
    // A needle under way is drawn when it rests: the planes follow at once.
    const timer = window.setTimeout(draw, 120);
    return () => window.clearTimeout(timer);
  }, [draw]);

  return (
    <div className={styles.space}>
      <canvas ref={canvas} tabIndex={0} role="img" aria-label="Structures, lesions and needles in three dimensions" />
      {skin ? (
        <p className={styles.legend}>
          Entries: best <span className={styles.ramp} /> last · blocked grey
        </p>
      ) : null}
    </div>
  );
}

function toSkinSurface(skin: SkinMap): Surface {
  const steps = new Int16Array(unpack(skin.points));
  const points = Float32Array.from(steps, (value, n) => value * skin.step_mm + (skin.origin_lps_mm[n % 3] ?? 0));
  const normals = Float32Array.from(new Int8Array(unpack(skin.normals)), (value) => value / 127);
  const radii = Float32Array.from(new Float32Array(unpack(skin.areas_mm2)), (area) => 1.15 * Math.sqrt(area / Math.PI));
  const classes = new Uint8Array(unpack(skin.classes));
  const ranks = new Float32Array(unpack(skin.rank_cm2));
  const most = ranks.reduce((all, one) => Math.max(all, one), 1e-6);
  const colours = new Uint8Array(classes.length * 4);
  classes.forEach((kind, n) => colours.set(toSkinColour(kind, (ranks[n] ?? 0) / most), 4 * n));
  return toDiscs("skin map", points, normals, radii, colours);
}
