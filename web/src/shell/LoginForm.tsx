import { type FormEvent, type ReactNode, useState } from "react";
import type { Me } from "../api/session";
import { Button } from "../ui/Button";
import { TextField } from "../ui/Field";
import styles from "./Login.module.css";
import { logIn, toLoginSentence } from "./me";

/** Login and password. */
export function LoginForm({ onDone, login: known = "" }: { onDone: (me: Me) => void; login?: string }) {
  const [login, setLogin] = useState(known);
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState<string | undefined>();
  const [busy, setBusy] = useState(false);
  async function send(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    setProblem(undefined);
    try {
      onDone(await logIn(login, password));
    } catch (error) {
      setProblem(toLoginSentence(error));
      setPassword("");
    } finally {
      setBusy(false);
    }
  }
  return (
    <form className={styles.form} onSubmit={(event) => void send(event)}>
      <TextField
        label="Login"
        autoComplete="username"
        required
        autoFocus={known === ""}
        value={login}
        onChange={(event) => setLogin(event.target.value)}
      />
      <TextField
        label="Password"
        type="password"
        autoComplete="current-password"
        required
        autoFocus={known !== ""}
        value={password}
        problem={problem}
        onChange={(event) => setPassword(event.target.value)}
      />
      <Button type="submit" look="main" busy={busy}>
        Log in
      </Button>
    </form>
  );
}

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
