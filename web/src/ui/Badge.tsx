import type { ReactNode } from "react";
import styles from "./Badge.module.css";
import { classes } from "./classes";

export type Tone = "good" | "caution" | "bad" | "quiet";

/** A word for how something stands; the word says it, the colour only helps. */
export function Badge({ tone, children }: { tone?: Tone; children: ReactNode }) {
  return <span className={classes(styles.badge, tone && styles[tone])}>{children}</span>;
}
