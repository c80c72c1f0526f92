/** The plan's live session: opened in the background, asked one question at a time, the latest wish first. */
import { useCallback, useEffect, useRef, useState } from "react";
import { client, makeKey, unwrap } from "../../api/client";
import type { Point } from "../../viewer/space";
import type { SessionAnswer } from "./model";

export type SessionState = "off" | "opening" | "open" | "failed";

export interface Wish {
  lesionId: string;
  entry: Point;
  tip: Point;
  volumeMl: number;
}

export interface Asked {
  wish: Wish;
  answer: SessionAnswer;
  /** From the wish to its answer. */
  took_ms: number;
}

interface Session {
  state: SessionState;
  problem: unknown;
  open: () => void;
  /** What was answered last; kept until something newer is. */
  asked: Asked | null;
  /** Whether a wish has no answer yet. */
  waits: boolean;
  ask: (wish: Wish) => void;
  forget: () => void;
}

export function useSession(planId: string, may: boolean): Session {
  const [state, setState] = useState<SessionState>("off");
  const [problem, setProblem] = useState<unknown>(null);
  const [asked, setAsked] = useState<Asked | null>(null);
  const [waits, setWaits] = useState(false);
  // A name of this page: two pages of one person do not make each other's questions stale.
  const name = useRef(makeKey());
  const sequence = useRef(0);
  const next = useRef<{ wish: Wish; at: number } | null>(null);
  const flying = useRef(false);
  const gone = useRef(false);

  const send = useCallback(async () => {
    if (flying.current) return;
    flying.current = true;
    try {
      while (next.current && !gone.current) {
        const { wish, at } = next.current;
        next.current = null;
        sequence.current += 1;
        const number = sequence.current;
        const answer = await unwrap(
          client.POST("/api/plan/{plan_id}/session/path", {
            params: { path: { plan_id: planId } },
            body: {
              client: name.current,
              sequence: number,
              lesion_id: wish.lesionId,
              entry_lps_mm: [...wish.entry],
              tip_lps_mm: [...wish.tip],
              volume_ml: wish.volumeMl,
              limits: {},
            },
          }),
        );
        if (gone.current) return;
        if (!answer.stale && answer.answer && number === sequence.current) {
          setAsked({ wish, answer: answer.answer as unknown as SessionAnswer, took_ms: performance.now() - at });
        }
      }
      setProblem(null);
    } catch (error) {
      setProblem(error);
    } finally {
      flying.current = false;
      if (!gone.current) setWaits(next.current !== null);
    }
  }, [planId]);

  const ask = useCallback(
    (wish: Wish) => {
      next.current = { wish, at: performance.now() };
      setWaits(true);
      void send();
    },
    [send],
  );

  const open = useCallback(() => {
    setState("opening");
    setProblem(null);
    unwrap(client.POST("/api/plan/{plan_id}/session", { params: { path: { plan_id: planId } } }))
      .then(() => !gone.current && setState("open"))
      .catch((error: unknown) => {
        if (gone.current) return;
        setState("failed");
        setProblem(error);
      });
  }, [planId]);

  useEffect(() => {
    gone.current = false;
    if (may) open();
    return () => {
      gone.current = true;
    };
  }, [may, open]);

  const forget = useCallback(() => {
    // What is still under way answers to nobody.
    sequence.current += 1;
    next.current = null;
    setAsked(null);
  }, []);

  return { state, problem, open, asked, waits, ask, forget };
}
