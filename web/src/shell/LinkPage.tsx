import { type FormEvent, useState } from "react";
import { client, unwrap } from "../api/client";
import { toSentence } from "../api/problem";
import { Button } from "../ui/Button";
import { TextField } from "../ui/Field";
import { DoorRoom } from "./DoorRoom";
import styles from "./Login.module.css";
import { ProviderButton, useWays } from "./ProviderLogin";

/** Where the one-time link of an invitation or a reset leads: choose a password. */
export function LinkPage({ secret, onDone }: { secret: string; onDone: () => void }) {
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const [problem, setProblem] = useState<string | undefined>();
  const [busy, setBusy] = useState(false);
  const ways = useWays();
  const { provider = "", passwords = true } = ways.data ?? {};
  const differs = again !== "" && again !== password;
  async function send(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    try {
      await unwrap(client.POST("/api/password", { body: { secret, password } }));
      onDone();
    } catch (error) {
      setProblem(toSentence(error));
      setBusy(false);
    }
  }
  return (
    <DoorRoom>
      {provider ? (
        <div className={styles.form}>
          <p>Accept your invitation with the login of your hospital. The link works once.</p>
          <ProviderButton label={provider} link={secret} />
          {passwords ? <p className={styles.quiet}>Or choose a password below.</p> : <p className={styles.quiet}>Administrators may choose a password below until one of them has come in by {provider}.</p>}
        </div>
      ) : null}
      <p>Choose a password for your account. The link works once.</p>
      <form className={styles.form} onSubmit={(event) => void send(event)}>
        <TextField
          label="New password"
          type="password"
          autoComplete="new-password"
          required
          autoFocus={!provider}
          hint="A few words are easy to remember and hard to guess."
          problem={problem}
          value={password}
          onChange={(event) => setPassword(event.target.value)}
        />
        <TextField
          label="The same again"
          type="password"
          autoComplete="new-password"
          required
          problem={differs ? "The two differ." : undefined}
          value={again}
          onChange={(event) => setAgain(event.target.value)}
        />
        <Button type="submit" look="main" busy={busy} disabled={again !== password || password === ""}>
          Set password
        </Button>
      </form>
    </DoorRoom>
  );
}
