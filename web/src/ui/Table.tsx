import type { ReactNode } from "react";
import styles from "./Table.module.css";
import { classes } from "./classes";

export interface Column<R> {
  /** Stands for the column; unique within the table. */
  name: string;
  title: ReactNode;
  /** Right-aligned, with figures below each other. */
  number?: boolean;
  cell: (row: R) => ReactNode;
}

interface Props<R> {
  /** What the table holds, for those who do not see it. */
  caption: string;
  columns: readonly Column<R>[];
  rows: readonly R[];
  rowKey: (row: R) => string;
  isChosen?: (row: R) => boolean;
  /** A row may be picked with the mouse; keyboards use the link or button that one of its cells must hold. */
  onPick?: (row: R) => void;
}

/** Rows and columns. */
export function Table<R>({ caption, columns, rows, rowKey, isChosen, onPick }: Props<R>) {
  return (
    <table className={styles.table}>
      <caption className="visually-hidden">{caption}</caption>
      <thead>
        <tr>
          {columns.map((column) => (
            <th key={column.name} scope="col" className={column.number ? styles.number : undefined}>
              {column.title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr
            key={rowKey(row)}
            className={classes(isChosen?.(row) && styles.chosen, onPick && styles.pick)}
            onClick={onPick ? () => onPick(row) : undefined}
          >
            {columns.map((column) => (
              <td key={column.name} className={column.number ? styles.number : undefined}>
                {column.cell(row)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
