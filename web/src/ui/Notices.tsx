import { type ReactNode, createContext, useCallback, useContext, useMemo, useRef, useState } from "react";
import styles from "./Notices.module.css";

/** Long enough to read and to reach the button; an undo is also in the item's history. */
const STAYS_MS = 12_000;

interface Notice {
  number: number;
  text: string;
  undo?: () => void;
}

type Say = (text: string, undo?: () => void) => void;

const Context = createContext<Say>(() => undefined);

/** Return what says, in a corner of the page, that something was done, with a way back where that is safe. */
export function useNotice(): Say {
  return useContext(Context);
}

export function Notices({ children }: { children: ReactNode }) {
  const [notices, setNotices] = useState<Notice[]>([]);
  const last = useRef(0);
  const drop = useCallback((number: number) => setNotices((all) => all.filter((one) => one.number !== number)), []);
  const say = useCallback<Say>(
    (text, undo) => {
      const number = ++last.current;
      setNotices((all) => [...all.slice(-2), undo ? { number, text, undo } : { number, text }]);
      window.setTimeout(() => drop(number), STAYS_MS);
    },
    [drop],
  );
  const shown = useMemo(() => notices, [notices]);
  return (
    <Context value={say}>
      {children}
      <div className={styles.notices} role="status" aria-live="polite">
        {shown.map((notice) => (
          <div key={notice.number} className={styles.notice}>
            <span>{notice.text}</span>
            {notice.undo ? (
              <button
                type="button"
                onClick={() => {
                  notice.undo?.();
                  drop(notice.number);
                }}
              >
                Undo
              </button>
            ) : null}
            <button type="button" aria-label="Dismiss" onClick={() => drop(notice.number)}>
              ✕
            </button>
          </div>
        ))}
      </div>
    </Context>
  );
}
