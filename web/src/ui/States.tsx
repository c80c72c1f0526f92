import type { ReactNode } from "react";
import { Problem, toSentence } from "../api/problem";
import { Button } from "./Button";
import styles from "./States.module.css";

/** Something is on its way; says what. */
export function Loading({ what }: { what: string }) {
  return (
    <div className={styles.state} role="status" aria-live="polite">
      <span>Reading {what} …</span>
      <span className={styles.bar} aria-hidden="true" />
    </div>
  );
}

/** There is nothing, why, and what can be done about it. */
export function Empty({ title, children, action }: { title: string; children?: ReactNode; action?: ReactNode }) {
  return (
    <div className={styles.state}>
      <span className={styles.title}>{title}</span>
      {children ? <span>{children}</span> : null}
      {action}
    </div>
  );
}

/** Something was refused or failed: what was expected, what to do, and a way to try again. */
export function Failure({ error, retry }: { error: unknown; retry?: () => void }) {
  return (
    <div className={styles.problem} role="alert">
      <p>{toSentence(error)}</p>
      {error instanceof Problem && (error.where || error.code) ? (
        <p className={styles.code}>
          {[error.code, error.where].filter(Boolean).join(" · ")}
        </p>
      ) : null}
      {retry ? <Button onClick={retry}>Try again</Button> : null}
    </div>
  );
}

interface Asked<T> {
  data: T | undefined;
  error: unknown;
  isPending: boolean;
  refetch: () => unknown;
}

/** Show what was asked for, or how it stands with it. */
export function Answered<T>({ asked, what, children }: { asked: Asked<T>; what: string; children: (data: T) => ReactNode }) {
  if (asked.data !== undefined) return <>{children(asked.data)}</>;
  if (asked.error) return <Failure error={asked.error} retry={() => void asked.refetch()} />;
  return <Loading what={what} />;
}
