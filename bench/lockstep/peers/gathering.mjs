// What the rooms of both Node servers do: gather one command packet of each player, and make one master of them.
// The packets are those of binary rooms (docs/protocol/lockstep.md): 22 bytes of header each.

const HEAD = 22;

// Gathers the packets of a room; `broadcast(master)` is called for each generation as soon as it is whole.
export class Gathering {
  constructor(players, delay, broadcast) {
    this.players = players;
    this.broadcast = broadcast;
    this.next = 0;
    // The generations that may be sent, by generation modulo the delay.
    this.window = Array.from({ length: delay }, () => ({ count: 0, packets: new Array(players).fill(null) }));
  }

  take(seat, packet) {
    const { window } = this;
    const generation = packet.readUInt32BE(2);
    if (generation < this.next || generation >= this.next + window.length) return;
    const turn = window[generation % window.length];
    if (turn.packets[seat] !== null) return;
    turn.packets[seat] = packet;
    turn.count += 1;
    let whole;
    while ((whole = window[this.next % window.length]).count === this.players) {
      this.broadcast(this.master(whole.packets));
      whole.packets.fill(null);
      whole.count = 0;
      this.next += 1;
    }
  }

  master(packets) {
    let size = HEAD;
    for (const packet of packets) size += 4 + packet.length - HEAD;
    const master = Buffer.allocUnsafe(size).fill(0, 0, HEAD);
    master[0] = 2;
    master.writeUInt32BE(this.next, 2);
    master.writeUInt16BE(3, 6);
    master.writeUInt16BE(packets.length, 20);
    let at = HEAD;
    for (let seat = 0; seat < packets.length; seat += 1) {
      const packet = packets[seat];
      master.writeUInt16BE(seat, at);
      master.writeUInt16BE(packet.length - HEAD, at + 2);
      packet.copy(master, at + 4, HEAD);
      at += 4 + packet.length - HEAD;
    }
    return master;
  }
}
