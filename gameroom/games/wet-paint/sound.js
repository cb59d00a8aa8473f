// @ts-check
/** A few short sounds, made on the spot; silent until somebody asks for them. */

/** Frequency from and to in Hz, seconds, wave. @type {Record<string, [number, number, number, OscillatorType]>} */
const SOUNDS = {
  dash: [180, 520, 0.16, "sawtooth"],
  ram: [320, 60, 0.35, "square"],
  bump: [160, 90, 0.1, "square"],
  pick: [660, 990, 0.12, "triangle"],
  fill: [330, 880, 0.3, "triangle"],
  count: [440, 440, 0.12, "sine"],
  go: [880, 880, 0.3, "sine"],
  end: [523, 262, 0.7, "triangle"],
};

export class Sound {
  constructor() {
    /** @type {AudioContext | null} */
    this.context = null;
    this.on = false;
  }

  /** @param {boolean} on called from a person's click, as browsers ask */
  turn(on) {
    this.on = on;
    if (on) this.context ??= new AudioContext();
  }

  /** @param {string} kind */
  play(kind) {
    const sound = SOUNDS[kind];
    if (!this.on || !this.context || !sound) return;
    const [from, to, lasts, wave] = sound;
    const now = this.context.currentTime;
    const tone = new OscillatorNode(this.context, { type: wave, frequency: from });
    const loudness = new GainNode(this.context, { gain: 0.08 });
    tone.frequency.exponentialRampToValueAtTime(to, now + lasts);
    loudness.gain.exponentialRampToValueAtTime(0.001, now + lasts);
    tone.connect(loudness).connect(this.context.destination);
    tone.start(now);
    tone.stop(now + lasts);
  }
}
