/** One scan of a read, one plane: lines over it, scrolled together with the other. */
import { type ReactNode, memo, useEffect, useRef, useState } from "react";
import { Planes, type Window } from "../../viewer/planes";
import { type Point, type Tile, place, toSides } from "../../viewer/space";
import { Failure } from "../../ui/States";
import { quantity } from "../../ui/numbers";
import styles from "./ReadPage.module.css";
import { useVolume } from "./hooks";
import { type Axis, type Line, measureLine } from "./marks";

export interface DrawnLine {
  name: string;
  axis: Axis;
  line: Line;
  look: "chosen" | "saved" | "new" | "ghost";
}

interface Props {
  side: "left" | "right";
  head: ReactNode;
  label: string;
  address: string;
  window: Window;
  measures: boolean;
  isActive: boolean;
  lines: readonly DrawnLine[];
  onActive: () => void;
  onMoved: (at: Point) => void;
  onMeasured: (line: Line) => void;
  onOpened: (planes: Planes | null) => void;
}

/** A line this near to the slice is drawn. */
const NEAR_MM = 4;

export function Pane(props: Props) {
  const { address, window: shades, measures, onOpened } = props;
  const volume = useVolume(address);
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [planes, setPlanes] = useState<Planes | null>(null);
  const [tiles, setTiles] = useState<Tile[]>([]);
  const [at, setAt] = useState<Point | null>(null);
  const told = useRef(props);
  told.current = props;
  const bytes = volume.data;
  useEffect(() => {
    if (!bytes || !canvas.current) return;
    let frame = 0;
    let gone = false;
    let opened = false;
    const made = new Planes(canvas.current, {
      drawn: () => {
        if (!frame && !gone)
          frame = requestAnimationFrame(() => {
            frame = 0;
            if (!gone && opened) setTiles(made.listTiles());
          });
      },
      moved: (to) => {
        if (!opened || gone) return;
        setAt(to);
        told.current.onMoved(to);
      },
      measured: ({ start, end }) => {
        // The page draws the line itself, with its name; the viewer's own would stay on every slice.
        made.dropMeasures();
        told.current.onMeasured([start, end]);
      },
    });
    void made
      .open({ volume: bytes, labels: null, spread: null, colours: [], spreadColour: [0, 0, 0], window: told.current.window, only: "axial" })
      .then(() => {
        if (gone) return;
        opened = true;
        setPlanes(made);
        setTiles(made.listTiles());
        setAt(made.readAt());
        told.current.onOpened(made);
      });
    return () => {
      gone = true;
      cancelAnimationFrame(frame);
      made.close();
      setPlanes(null);
      told.current.onOpened(null);
    };
  }, [bytes]);
  useEffect(() => planes?.setWindow(shades), [planes, shades]);
  useEffect(() => planes?.setMode(measures ? "measure" : "look"), [planes, measures]);
  useEffect(() => {
    if (address === "") onOpened(null);
  }, [address, onOpened]);

  const size = box.current?.getBoundingClientRect();
  const state = planes ? "shown" : address === "" || volume.error ? "none" : "waits";
  return (
    <section className={styles.pane} data-side={props.side} data-pane={state} data-active={props.isActive} data-scan={props.label} onPointerDownCapture={props.onActive}>
      <header className={styles.paneHead}>{props.head}</header>
      <div ref={box} className={styles.picture} data-measures={measures}>
        <canvas key={address} ref={canvas} className={styles.canvas} role="img" aria-label={`Axial plane, ${props.label}`} />
        {planes && size ? <PaneOverlay tile={tiles[0]} width={size.width} height={size.height} lines={props.lines} side={props.side} /> : null}
        {planes && size && at && tiles[0] && !measures ? <Crosshair tile={tiles[0]} width={size.width} height={size.height} at={at} side={props.side} /> : null}
        {state === "waits" ? (
          <p className={styles.over} role="status">
            Reading the scan …
          </p>
        ) : null}
        {address === "" ? <p className={styles.over}>There are no images of this scan.</p> : null}
        {volume.error ? (
          <div className={styles.over}>
            <Failure error={volume.error} retry={() => void volume.refetch()} />
            <p>Sizes can still be entered as numbers.</p>
          </div>
        ) : null}
      </div>
    </section>
  );
}

/** Free of ink around the point itself: what lies there is what one looks at. */
const CROSS_FROM = 7;
const CROSS_TO = 16;

function Crosshair({ tile, width, height, at, side }: { tile: Tile; width: number; height: number; at: Point; side: string }) {
  const { x, y } = place(tile, at);
  const path = [
    [1, 0],
    [-1, 0],
    [0, 1],
    [0, -1],
  ]
    .map(([a = 0, b = 0]) => `M${x + a * CROSS_FROM} ${y + b * CROSS_FROM} L${x + a * CROSS_TO} ${y + b * CROSS_TO}`)
    .join(" ");
  return (
    <svg className={styles.overlay} width={width} height={height} viewBox={`0 0 ${width} ${height}`} data-cross={side} aria-hidden="true">
      <path d={path} className={styles.crossCasing} />
      <path d={path} className={styles.cross} />
    </svg>
  );
}

/** Drawn again only when something of it changed: the crosshair moves often. */
const PaneOverlay = memo(function PaneOverlay({ tile, width, height, lines, side }: { tile: Tile | undefined; width: number; height: number; lines: readonly DrawnLine[]; side: string }) {
  if (!tile) return null;
  const sides = toSides(tile);
  const clip = `clip-${side}`;
  return (
    <svg className={styles.overlay} width={width} height={height} viewBox={`0 0 ${width} ${height}`} data-plane={tile.plane} aria-hidden="true">
      <clipPath id={clip}>
        <rect x={tile.left} y={tile.top} width={tile.width} height={tile.height} />
      </clipPath>
      <g clipPath={`url(#${clip})`}>
        {lines.map((one) => (
          <Drawn key={`${one.name}-${one.axis}-${one.look}`} tile={tile} drawn={one} />
        ))}
      </g>
      <g className={styles.edges}>
        <text x={12} y={height / 2} data-edge="left">
          {sides.left}
        </text>
        <text x={width - 12} y={height / 2} data-edge="right">
          {sides.right}
        </text>
        <text x={width / 2} y={17} data-edge="top">
          {sides.top}
        </text>
        <text x={width / 2} y={height - 8} data-edge="bottom">
          {sides.bottom}
        </text>
      </g>
    </svg>
  );
});

function Drawn({ tile, drawn }: { tile: Tile; drawn: DrawnLine }) {
  const [a, b] = [place(tile, drawn.line[0]), place(tile, drawn.line[1])];
  const off = Math.min(Math.abs(a.off), Math.abs(b.off));
  if (off > NEAR_MM) return null;
  const path = `M${a.x} ${a.y} L${b.x} ${b.y}`;
  const right = a.x > b.x ? a : b;
  if (drawn.look === "ghost") {
    const radius = Math.max(6, Math.hypot(a.x - b.x, a.y - b.y) / 2);
    return (
      <g data-ghost={drawn.name}>
        <circle cx={(a.x + b.x) / 2} cy={(a.y + b.y) / 2} r={radius} className={styles.ghost} />
        <text x={(a.x + b.x) / 2} y={(a.y + b.y) / 2 - radius - 4} className={styles.ghostName}>
          {drawn.name} at baseline
        </text>
      </g>
    );
  }
  return (
    <g data-line={drawn.name} data-axis={drawn.axis} data-look={drawn.look}>
      <path d={path} className={styles.casing} />
      <path d={path} className={styles.line} />
      {[a, b].map((end, number) => (
        <circle key={number} cx={end.x} cy={end.y} r={2.6} className={styles.end} />
      ))}
      {drawn.axis === "long" ? (
        <text x={right.x + 7} y={right.y + 4} className={styles.lineName}>
          {drawn.name} {quantity(measureLine(drawn.line), "mm")}
        </text>
      ) : null}
    </g>
  );
}
