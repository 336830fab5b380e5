// What the browser keeps for us. Where storage is blocked it lives as long as the page does.
class Memory {
  constructor(prefix) {
    this.prefix = prefix;
    this.lasting = true;
    try {
      localStorage.setItem(prefix + "try", "1");
      localStorage.removeItem(prefix + "try");
    } catch {
      this.lasting = false;
      this.map = new Map();
    }
  }

  read(name, otherwise) {
    try {
      const kept = this.lasting ? localStorage.getItem(this.prefix + name) : this.map.get(name);
      return kept ? JSON.parse(kept) : otherwise;
    } catch {
      return otherwise;
    }
  }

  write(name, value) {
    const text = JSON.stringify(value);
    try {
      if (this.lasting) localStorage.setItem(this.prefix + name, text);
      else this.map.set(name, text);
    } catch {
      // Storage is full: the page still has the value, only a reload would lose it.
    }
  }
}
