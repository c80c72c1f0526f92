import type { ReactNode } from "react";
import styles from "./Panel.module.css";
import { Scrollable } from "./Scrollable";
import { classes } from "./classes";

interface Props {
  title?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
  /** Without space around what it holds, for tables. */
  flush?: boolean;
  className?: string;
}

/** A part of a page with its own heading. */
export function Panel({ title, actions, children, flush, className }: Props) {
  return (
    <section className={classes(styles.panel, className)}>
      {title || actions ? (
        <header className={styles.head}>
          <h2>{title}</h2>
          {actions}
        </header>
      ) : null}
      {flush ? (
        <Scrollable label={typeof title === "string" ? title : "Table"} className={styles.flush}>
          {children}
        </Scrollable>
      ) : (
        <div className={styles.body}>{children}</div>
      )}
    </section>
  );
}
