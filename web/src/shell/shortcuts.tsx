import { createContext, useContext, useEffect, useMemo, useRef, useState, type ReactNode } from "react";
import { Dialog } from "../ui/Dialog";
import { Facts } from "../ui/Facts";

interface Shortcut {
  key: string;
  label: string;
  act: () => void;
}

interface Board {
  add: (shortcut: Shortcut) => () => void;
  show: () => void;
}

const Context = createContext<Board>({ add: () => () => undefined, show: () => undefined });

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || ["INPUT", "SELECT", "TEXTAREA"].includes(target.tagName));
}

/** Hears single keys outside fields, and lists them when ``?`` is pressed. */
export function Shortcuts({ children }: { children: ReactNode }) {
  const all = useRef(new Set<Shortcut>());
  const [listed, setListed] = useState<Shortcut[] | null>(null);
  const board = useMemo<Board>(
    () => ({
      add(shortcut) {
        all.current.add(shortcut);
        return () => all.current.delete(shortcut);
      },
      show: () => setListed([...all.current]),
    }),
    [],
  );
  useEffect(() => {
    function hear(event: KeyboardEvent) {
      if (isTyping(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
      if (document.querySelector("dialog[open]")) return;
      if (event.key === "?") {
        board.show();
        return;
      }
      const found = [...all.current].reverse().find((one) => one.key === event.key);
      if (found) {
        event.preventDefault();
        found.act();
      }
    }
    window.addEventListener("keydown", hear);
    return () => window.removeEventListener("keydown", hear);
  }, [board]);
  const rows: Array<readonly [string, ReactNode]> = [
    ...(listed ?? []).map((one) => [one.key === " " ? "Space" : one.key, one.label] as const),
    ["?", "This list"],
    ["Esc", "Close a dialog"],
  ];
  return (
    <Context value={board}>
      {children}
      {listed ? (
        <Dialog title="Keys of this page" onClose={() => setListed(null)}>
          <Facts rows={rows} />
        </Dialog>
      ) : null}
    </Context>
  );
}

/** Have a key do something while the component is shown. */
export function useShortcut(key: string, label: string, act: () => void): void {
  const board = useContext(Context);
  const latest = useRef(act);
  latest.current = act;
  useEffect(() => board.add({ key, label, act: () => latest.current() }), [board, key, label]);
}

/** Return what shows the list of keys. */
export function useShortcutList(): () => void {
  return useContext(Context).show;
}
