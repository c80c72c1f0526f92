import type { ReactNode } from "react";
import { Scrollable } from "../ui/Scrollable";
import { type Column, Table } from "../ui/Table";
import styles from "./Charts.module.css";

interface Props<R> {
  title: string;
  /** What the picture says, in a sentence; stands beside the title. */
  said?: ReactNode;
  children: ReactNode;
  /** The same as numbers, for those who do not see the picture and for those who want to check it. */
  columns: readonly Column<R>[];
  rows: readonly R[];
  rowKey: (row: R) => string;
}

/** A chart with its heading and its table. */
export function Figure<R>({ title, said, children, columns, rows, rowKey }: Props<R>) {
  return (
    <figure className={styles.figure} aria-label={title}>
      <figcaption className={styles.caption}>
        <h3>{title}</h3>
        {said ? <span className={styles.said}>{said}</span> : null}
      </figcaption>
      {children}
      <details className={styles.numbers}>
        <summary>Numbers of “{title}”</summary>
        <Scrollable label={`Numbers of ${title}`} className={styles.held}>
          <Table caption={title} columns={columns} rows={rows} rowKey={rowKey} />
        </Scrollable>
      </details>
    </figure>
  );
}
