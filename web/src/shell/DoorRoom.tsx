import type { ReactNode } from "react";
import styles from "./Login.module.css";

/** The page before anything else. */
export function DoorRoom({ children }: { children: ReactNode }) {
  return (
    <main className={styles.room}>
      <div className={styles.card}>
        <div className={styles.brand}>
          <img src="./icon.svg" alt="" />
          <div>
            <h1>Hepatica</h1>
            <p className={styles.quiet}>Research use, not a medical device</p>
          </div>
        </div>
        {children}
      </div>
    </main>
  );
}
