import type { ReactNode } from "react";
import styles from "./Page.module.css";

interface Props {
  title: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
  /** Whether what the page is for can be used: tests and people with slow networks wait for it. */
  ready?: boolean;
}

/** The usual page: a heading, what can be done, and panels below each other. */
export function Page({ title, actions, children, ready = true }: Props) {
  return (
    <div className={styles.page} data-ready={ready}>
      <div className={styles.head}>
        <h1>{title}</h1>
        {actions ? <div className={styles.actions}>{actions}</div> : null}
      </div>
      {children}
    </div>
  );
}

/** Panels side by side where there is room. */
export function Columns({ children }: { children: ReactNode }) {
  return <div className={styles.columns}>{children}</div>;
}
