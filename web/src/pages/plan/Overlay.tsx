/** Needles, deposits, lesion names and orientation marks over the planes; entry and tip can be dragged. */
import { type KeyboardEvent, type PointerEvent, useRef } from "react";
import { quantity } from "../../ui/numbers";
import { type Point, type Tile, add, lift, norm, place, scale, subtract, toPoint, toSides } from "../../viewer/space";
import styles from "./Viewer.module.css";
import type { Deposit, Scene } from "./model";

export interface Needle {
  entry: Point;
  tip: Point;
  /** Fans turn here; such a path is shown, not dragged. */
  pivot: Point | null;
  tips: Point[];
  deposits: Deposit[];
}

interface Props {
  tiles: readonly Tile[];
  width: number;
  height: number;
  needle: Needle | null;
  others: readonly Needle[];
  scene: Scene;
  mayDrag: boolean;
  onDrag: (end: "entry" | "tip", to: Point) => void;
  onDrop: () => void;
}

/** A path this near to the plane is drawn whole; farther, fainter. */
const NEAR_MM = 2.5;
/** Keyboard steps. */
const STEP_MM = 1;

export function Overlay({ tiles, width, height, needle, others, scene, mayDrag, onDrag, onDrop }: Props) {
  return (
    <svg className={styles.overlay} width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="group" aria-label="Needle over the planes">
      {tiles.map((tile) => (
        <g key={tile.plane} data-plane={tile.plane} data-sides={Object.values(toSides(tile)).join("")}>
          <clipPath id={`clip-${tile.plane}`}>
            <rect x={tile.left} y={tile.top} width={tile.width} height={tile.height} />
          </clipPath>
          <g clipPath={`url(#clip-${tile.plane})`}>
            {scene.lesions.map((lesion) => {
              const at = place(tile, toPoint(lesion.centroid_lps_mm));
              return Math.abs(at.off) > 12 ? null : (
                <text key={lesion.lesion_id} className={styles.lesionName} x={at.x + 16} y={at.y - 12} data-lesion={lesion.lesion_id}>
                  {lesion.lesion_id}
                </text>
              );
            })}
            {others.map((one, number) => (
              <Track key={number} tile={tile} needle={one} faint />
            ))}
            {needle ? <Track tile={tile} needle={needle} /> : null}
          </g>
          <Marks tile={tile} />
          {needle && mayDrag && needle.pivot === null ? (
            <>
              <Handle tile={tile} end="entry" at={needle.entry} onDrag={onDrag} onDrop={onDrop} />
              <Handle tile={tile} end="tip" at={needle.tip} onDrag={onDrag} onDrop={onDrop} />
            </>
          ) : null}
        </g>
      ))}
    </svg>
  );
}

function Track({ tile, needle, faint }: { tile: Tile; needle: Needle; faint?: boolean }) {
  const start = place(tile, needle.entry);
  const bend = needle.pivot ? place(tile, needle.pivot) : start;
  const ends = needle.tips.map((tip) => place(tile, tip));
  const nearest = Math.min(...[start, ...ends].map((one) => Math.abs(one.off)));
  const crosses = ends.some((end) => end.off * start.off < 0);
  const clear = nearest <= NEAR_MM || crosses;
  return (
    <g opacity={faint ? 0.35 : clear ? 1 : 0.55} data-track={faint ? "other" : "shown"}>
      {ends.map((end, number) => {
        const line = `M${start.x} ${start.y} L${bend.x} ${bend.y} L${end.x} ${end.y}`;
        return (
          <g key={number}>
            <path d={line} className={styles.casing} />
            <path d={line} className={styles.needle} strokeDasharray={clear ? undefined : "5 4"} />
          </g>
        );
      })}
      {faint
        ? null
        : needle.deposits.map((deposit) => {
            const at = place(tile, toPoint(deposit.point_lps_mm));
            // A sphere of the deposit's volume, as large as the plane cuts it.
            const radius = Math.cbrt((3 * deposit.volume_ml * 1000) / (4 * Math.PI));
            const cut = Math.sqrt(Math.max(0, radius * radius - at.off * at.off));
            return cut === 0 ? null : (
              <circle
                key={`${deposit.lesion_id}-${deposit.order}`}
                cx={at.x}
                cy={at.y}
                r={cut / norm(tile.right)}
                className={styles.deposit}
                data-deposit={deposit.order}
              >
                <title>{`Deposit ${deposit.order}: ${quantity(deposit.volume_ml, "mL")}`}</title>
              </circle>
            );
          })}
      {faint ? null : <Crossing tile={tile} start={start} end={ends[0]} />}
    </g>
  );
}

/** Where a path goes through the plane. */
function Crossing({ start, end }: { tile: Tile; start: { x: number; y: number; off: number }; end: { x: number; y: number; off: number } | undefined }) {
  if (!end || start.off * end.off >= 0) return null;
  const share = start.off / (start.off - end.off);
  return <circle cx={start.x + (end.x - start.x) * share} cy={start.y + (end.y - start.y) * share} r={3} className={styles.crossing} />;
}

function Marks({ tile }: { tile: Tile }) {
  const sides = toSides(tile);
  const [middleX, middleY] = [tile.left + tile.width / 2, tile.top + tile.height / 2];
  return (
    <g className={styles.marks} aria-hidden="true">
      <text x={tile.left + 12} y={middleY} data-edge="left">
        {sides.left}
      </text>
      <text x={tile.left + tile.width - 12} y={middleY} data-edge="right">
        {sides.right}
      </text>
      <text x={middleX} y={tile.top + 15} data-edge="top">
        {sides.top}
      </text>
      <text x={middleX} y={tile.top + tile.height - 8} data-edge="bottom">
        {sides.bottom}
      </text>
      <Ruler tile={tile} />
    </g>
  );
}

/** Five centimetres. */
function Ruler({ tile }: { tile: Tile }) {
  const length = 50 / norm(tile.right);
  if (length > tile.width * 0.6) return null;
  const [x, y] = [tile.left + tile.width - length - 14, tile.top + tile.height - 12];
  return (
    <>
      <path d={`M${x} ${y - 4} V${y} H${x + length} V${y - 4}`} className={styles.ruler} />
      <text x={x + length / 2} y={y - 5} className={styles.rulerText}>
        5 cm
      </text>
    </>
  );
}

interface HandleProps {
  tile: Tile;
  end: "entry" | "tip";
  at: Point;
  onDrag: (end: "entry" | "tip", to: Point) => void;
  onDrop: () => void;
}

function Handle({ tile, end, at, onDrag, onDrop }: HandleProps) {
  const held = useRef<{ off: number; dx: number; dy: number } | null>(null);
  const here = place(tile, at);
  const inside = here.x >= tile.left && here.x <= tile.left + tile.width && here.y >= tile.top && here.y <= tile.top + tile.height;
  if (!inside) return null;
  function toLocal(event: PointerEvent<SVGGElement>) {
    const box = event.currentTarget.ownerSVGElement?.getBoundingClientRect();
    return { x: event.clientX - (box?.left ?? 0), y: event.clientY - (box?.top ?? 0) };
  }
  function step(event: KeyboardEvent) {
    const steps: Record<string, readonly [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const found = steps[event.key];
    if (!found) return;
    event.preventDefault();
    event.stopPropagation();
    const size = (event.shiftKey ? 5 : 1) * STEP_MM;
    const way = add(scale(tile.right, (found[0] * size) / norm(tile.right)), scale(tile.down, (found[1] * size) / norm(tile.down)));
    onDrag(end, add(at, way));
    onDrop();
  }
  return (
    <g
      className={styles.handle}
      tabIndex={0}
      role="slider"
      aria-label={`${end === "entry" ? "Entry" : "Tip"} in the ${tile.plane} plane; arrow keys move it by 1 mm`}
      aria-valuetext={at.map((value) => value.toFixed(1)).join(", ")}
      aria-valuenow={Math.round(here.x)}
      data-handle={end}
      opacity={Math.abs(here.off) <= NEAR_MM ? 1 : 0.6}
      onKeyDown={step}
      onPointerDown={(event) => {
        event.preventDefault();
        event.stopPropagation();
        event.currentTarget.setPointerCapture(event.pointerId);
        event.currentTarget.focus();
        const local = toLocal(event);
        held.current = { off: here.off, dx: here.x - local.x, dy: here.y - local.y };
      }}
      onPointerMove={(event) => {
        if (!held.current) return;
        const local = toLocal(event);
        onDrag(end, lift(tile, local.x + held.current.dx, local.y + held.current.dy, held.current.off));
      }}
      onPointerUp={() => {
        held.current = null;
        onDrop();
      }}
    >
      <circle cx={here.x} cy={here.y} r={14} className={styles.grip} />
      {end === "entry" ? (
        <rect x={here.x - 5} y={here.y - 5} width={10} height={10} className={styles.knob} />
      ) : (
        <circle cx={here.x} cy={here.y} r={5.5} className={styles.knob} />
      )}
    </g>
  );
}

/** A puncture as it is drawn. */
export function toNeedle(puncture: { entry_lps_mm: number[]; pivot_lps_mm: number[] | null; tracks: Array<{ tip_lps_mm: number[]; deposits: Deposit[] }> }): Needle {
  const tips = puncture.tracks.map((track) => toPoint(track.tip_lps_mm));
  return {
    entry: toPoint(puncture.entry_lps_mm),
    tip: tips[0] ?? toPoint(puncture.entry_lps_mm),
    pivot: puncture.pivot_lps_mm ? toPoint(puncture.pivot_lps_mm) : null,
    tips,
    deposits: puncture.tracks.flatMap((track) => track.deposits),
  };
}

export function measureLength(needle: Needle): number {
  return norm(subtract(needle.tip, needle.entry));
}
