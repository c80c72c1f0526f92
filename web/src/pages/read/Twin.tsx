/** Two scans side by side that scroll together. */
import { type ReactNode, type Ref, useCallback, useEffect, useImperativeHandle, useRef, useState } from "react";
import type { Planes, Window } from "../../viewer/planes";
import { type Point, subtract } from "../../viewer/space";
import { quantity } from "../../ui/numbers";
import { type DrawnLine, Pane } from "./Pane";
import styles from "./ReadPage.module.css";
import { type Line, type Link, toBaseline, toFollowUp } from "./marks";

export type Side = "left" | "right";

export interface TwinHandle {
  /** Next or previous slice of the side that is used. */
  step: (by: number) => void;
  goTo: (side: Side, point: Point) => void;
  /** From where the left one stands to where the right one stands. */
  readShift: () => Point | null;
}

export interface TwinScan {
  head: ReactNode;
  label: string;
  address: string;
  lines: readonly DrawnLine[];
  measures: boolean;
}

interface Props {
  left: TwinScan;
  right: TwinScan | null;
  active: Side;
  link: Link;
  window: Window;
  handle: Ref<TwinHandle>;
  onActive: (side: Side) => void;
  onMeasured: (side: Side, line: Line) => void;
  onShown: () => void;
}

const OTHER = { left: "right", right: "left" } as const;

export function Twin({ left, right, active, link, window: shades, handle, onActive, onMeasured, onShown }: Props) {
  const held = useRef<Record<Side, Planes | null>>({ left: null, right: null });
  const places = useRef<Record<Side, HTMLElement | null>>({ left: null, right: null });
  const follows = useRef(false);
  const latest = useRef(link);
  latest.current = link;
  const [heights, setHeights] = useState<Record<Side, number | null>>({ left: null, right: null });

  const follow = useCallback((side: Side, at: Point) => {
    setHeights((all) => (all[side] === at[2] ? all : { ...all, [side]: at[2] }));
    // For who wants to know exactly where both stand.
    places.current[side]?.setAttribute("data-at", at.map((value) => value.toFixed(3)).join(" "));
    const known = latest.current;
    if (follows.current || known.how === "off") return;
    follows.current = true;
    held.current[OTHER[side]]?.moveTo(side === "left" ? toFollowUp(known, at) : toBaseline(known, at));
    follows.current = false;
  }, []);
  const open = useCallback(
    (side: Side, planes: Planes | null) => {
      held.current[side] = planes;
      const first = held.current.left ?? held.current.right;
      if (planes && first) follow(first === held.current.left ? "left" : "right", first.readAt());
      if (planes) onShown();
    },
    [follow, onShown],
  );
  const openLeft = useCallback((planes: Planes | null) => open("left", planes), [open]);
  const openRight = useCallback((planes: Planes | null) => open("right", planes), [open]);
  useEffect(() => {
    const first = held.current.left;
    if (first) follow("left", first.readAt());
  }, [link, follow]);
  useImperativeHandle(handle, () => ({
    step: (by) => (held.current[active] ?? held.current[OTHER[active]])?.step("axial", by),
    goTo: (side, point) => held.current[side]?.moveTo(point),
    readShift: () => {
      const { left: one, right: other } = held.current;
      return one && other ? subtract(other.readAt(), one.readAt()) : null;
    },
  }));

  function show(side: Side, scan: TwinScan) {
    return (
      <Pane
        side={side}
        head={
          <>
            {scan.head}
            <span
              className={styles.height}
              data-height={side}
              ref={(element) => {
                places.current[side] = element;
              }}
            >
              {heights[side] === null ? "" : `z ${quantity(heights[side], "mm")}`}
            </span>
          </>
        }
        label={scan.label}
        address={scan.address}
        window={shades}
        measures={scan.measures}
        isActive={active === side}
        lines={scan.lines}
        onActive={() => onActive(side)}
        onMoved={(at) => follow(side, at)}
        onMeasured={(line) => onMeasured(side, line)}
        onOpened={side === "left" ? openLeft : openRight}
      />
    );
  }
  return (
    <div className={styles.twin}>
      {show("left", left)}
      {right ? show("right", right) : <p className={styles.lone}>There is no follow-up in this read.</p>}
    </div>
  );
}
