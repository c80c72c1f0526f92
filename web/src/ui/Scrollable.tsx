import { type ReactNode, useEffect, useRef, useState } from "react";

interface Props {
  /** What it holds, for those who do not see it. */
  label: string;
  className?: string | undefined;
  children: ReactNode;
}

/** A part that scrolls by itself: while it does, the keyboard can reach it. */
export function Scrollable({ label, className, children }: Props) {
  const ref = useRef<HTMLDivElement>(null);
  const [scrolls, setScrolls] = useState(false);
  useEffect(() => {
    const part = ref.current;
    if (!part) return;
    const look = () => setScrolls(part.scrollHeight > part.clientHeight + 1 || part.scrollWidth > part.clientWidth + 1);
    const watcher = new ResizeObserver(look);
    watcher.observe(part);
    for (const child of part.children) watcher.observe(child);
    look();
    return () => watcher.disconnect();
  });
  return (
    <div ref={ref} className={className} {...(scrolls ? { tabIndex: 0, role: "region", "aria-label": label } : {})}>
      {children}
    </div>
  );
}
