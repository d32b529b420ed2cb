package audit

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func newKey(t testing.TB) *Key {
	t.Helper()
	key, err := NewKey(filepath.Join(t.TempDir(), "audit.key"))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// signedLog is a closed log of so many calls, signed with key, and what was sent elsewhere.
func signedLog(t testing.TB, key *Key, calls int, o Options) (path string, anchors []Checkpoint) {
	t.Helper()
	path = place(t)
	o.Key, o.Anchor = key, func(c Checkpoint) { anchors = append(anchors, c) }
	l := open(t, path, o)
	for i := range calls {
		add(t, l, call(i))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return path, anchors
}

func verdict(t testing.TB, path string, trust Trust) Verdict {
	t.Helper()
	v, err := VerifyWith(path, trust)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// found returns the problems of a log, and what the checkpoints of its changes prove.
func found(t testing.TB, path string, trust Trust) (problems []Problem, changes Signing) {
	t.Helper()
	for _, r := range verdict(t, path, trust).Reports {
		if r.Problem != nil {
			problems = append(problems, *r.Problem)
		}
		if r.Signing != nil && !r.Attempts {
			changes = *r.Signing
		}
	}
	return problems, changes
}

func by(keys ...*Key) Trust {
	var trust Trust
	for _, key := range keys {
		trust.Keys = append(trust.Keys, key.Public())
	}
	return trust
}

// rewrite does what an attacker does who may write the log and its head, and knows how both are made.
func rewrite(t testing.TB, path string, edit func([]Record) []Record) {
	t.Helper()
	var text []byte
	end := head{0, firstPrev}
	for _, r := range edit(records(t, path)) {
		c := chain{}
		line, next, err := c.next(r, end)
		if err != nil {
			t.Fatal(err)
		}
		text, end = append(text, line...), next
	}
	write(t, path, text)
	if err := writeHead(path, end); err != nil {
		t.Fatal(err)
	}
}

// copyOf is a copy of a log that has one file of changes.
func copyOf(t testing.TB, log string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "audit.jsonl")
	write(t, path, read(t, log))
	write(t, path+headSuffix, read(t, log+headSuffix))
	return path
}

func TestCheckpoints(t *testing.T) {
	key := newKey(t)
	path, anchors := signedLog(t, key, 120, Options{})
	problems, signing := found(t, path, by(key))
	if len(problems) > 0 || signing.Checkpoints != 2 || signing.Unsigned != 0 || len(signing.Keys) != 1 {
		t.Fatalf("%+v %+v", problems, signing)
	}
	if signing.Keys[0] != key.Public().ID() || signing.At.IsZero() || signing.Signed != uint64(120+1+1) {
		t.Errorf("%+v", signing)
	}
	if len(anchors) != 2 || anchors[0].Seq != 100 {
		t.Errorf("%d anchors, %+v", len(anchors), anchors[0])
	}
	trust := by(key)
	trust.Anchors = anchors
	if problems, signing = found(t, path, trust); len(problems) > 0 || signing.Anchors != 2 {
		t.Errorf("%+v %+v", problems, signing)
	}
	if len(problems) > 0 || len(checkAll(t, path)) != 1 { // those who have no key verify as before
		t.Error("without a key the log is not intact")
	}
}

func TestCheckpointOfEveryFile(t *testing.T) {
	key := newKey(t)
	path, anchors := signedLog(t, key, 40, Options{MaxBytes: 3000})
	reports := verdict(t, path, by(key)).Reports
	if len(reports) < 4 {
		t.Fatalf("%d files", len(reports))
	}
	for _, r := range reports {
		all := records(t, r.File)
		if last := all[len(all)-1]; r.Problem != nil || last.Event != Checkpointed {
			t.Errorf("%s ends with %s, %+v", r.File, last.Event, r.Problem)
		}
		if got := logID(all[0]); got != anchors[0].Log {
			t.Errorf("%s is of the log %s", r.File, got)
		}
	}
	trust := by(key)
	trust.Anchors = anchors
	if problems, signing := found(t, path, trust); len(problems) > 0 || signing.Anchors != len(anchors) || len(anchors) != len(reports) {
		t.Errorf("%+v %+v", problems, signing)
	}
}

// A rewritten log has valid hashes and a valid head. Nobody without the key can make its checkpoints.
func TestRewrittenLog(t *testing.T) {
	key, other := newKey(t), newKey(t)
	forge := func(all []Record) []Record {
		all[20].Targets[0].ID = "ins-9999"
		return all
	}
	whole, _ := signedLog(t, key, 110, Options{})
	for name, c := range map[string]struct {
		edit func([]Record) []Record
		want Kind
	}{
		"checkpoints as they were": {forge, Misplaced},
		"checkpoints left out": {func(all []Record) []Record {
			return slices.DeleteFunc(forge(all), func(r Record) bool { return r.Event == Checkpointed })
		}, Unsigned},
		"signed with another key": {func(all []Record) []Record { return signAnew(t, forge(all), other, other.Public().ID()) }, Forged},
		"in the name of the key":  {func(all []Record) []Record { return signAnew(t, forge(all), other, key.Public().ID()) }, Forged},
		"one moved": {func(all []Record) []Record {
			first := slices.IndexFunc(all, func(r Record) bool { return r.Event == Checkpointed })
			return slices.Insert(all, len(all)-1, all[first])
		}, Misplaced},
		"one emptied": {func(all []Record) []Record {
			all[len(all)-1].Checkpoint = nil
			return all
		}, Unreadable},
	} {
		t.Run(name, func(t *testing.T) {
			path := copyOf(t, whole)
			rewrite(t, path, c.edit)
			problems, _ := found(t, path, by(key))
			if len(problems) != 1 || problems[0].Kind != c.want {
				t.Errorf("want %s, got %+v", c.want, problems)
			}
		})
	}
}

// signAnew gives a log checkpoints that fit, of key, with the name of a key.
func signAnew(t testing.TB, all []Record, key *Key, name string) []Record {
	t.Helper()
	end, log := head{0, firstPrev}, ""
	for i, r := range all {
		c := chain{}
		if r.Event == Checkpointed {
			made := Checkpoint{Log: log, Seq: end.Seq, Hash: end.Hash, Time: r.Time, Key: name}
			signed := *key.sign(made.Log, end, made.Time)
			made.Signature = signed.Signature
			r.Checkpoint, all[i].Checkpoint = &made, &made
		}
		_, next, err := c.next(r, end)
		if err != nil {
			t.Fatal(err)
		}
		if end = next; log == "" {
			log = next.Hash[:logIDLen]
		}
	}
	return all
}

// A log that was cut at or behind a checkpoint, with its head, is one that could have been written so. What was sent elsewhere
// says that it was not.
func TestCutLog(t *testing.T) {
	key := newKey(t)
	whole, anchors := signedLog(t, key, 130, Options{})
	for name, c := range map[string]struct {
		keep     int
		unsigned int
	}{
		"at a checkpoint":     {101, 0},
		"behind a checkpoint": {120, 19},
	} {
		t.Run(name, func(t *testing.T) {
			path := copyOf(t, whole)
			rewrite(t, path, func(all []Record) []Record { return all[:c.keep] })
			problems, signing := found(t, path, by(key))
			if len(problems) > 0 || signing.Unsigned != c.unsigned || signing.Signed != 100 {
				t.Errorf("%+v %+v", problems, signing)
			}
			trust := by(key)
			trust.Anchors = anchors
			problems, _ = found(t, path, trust)
			if len(problems) != 1 || problems[0].Kind != Missing || !strings.Contains(problems[0].Detail.String(), "sent elsewhere") {
				t.Errorf("%+v", problems)
			}
		})
	}
}

// Even the holder of the key cannot write anew what was sent elsewhere, nor put another log in its place.
func TestAnchors(t *testing.T) {
	key, other := newKey(t), newKey(t)
	path, anchors := signedLog(t, key, 110, Options{})
	trust := by(key)
	trust.Anchors = anchors
	rewrite(t, path, func(all []Record) []Record {
		all[20].Targets[0].ID = "ins-9999"
		return signAnew(t, all, key, key.Public().ID())
	})
	if problems, _ := found(t, path, by(key)); len(problems) > 0 {
		t.Fatalf("the rewritten log has other faults: %+v", problems)
	}
	if problems, _ := found(t, path, trust); len(problems) != 1 || problems[0].Kind != Changed || problems[0].Seq != 100 {
		t.Errorf("%+v", problems)
	}

	path, _ = signedLog(t, key, 10, Options{Now: func() time.Time { return epoch.Add(time.Hour) }})
	if problems, _ := found(t, path, trust); len(problems) != 1 || problems[0].Kind != Missing {
		t.Errorf("another log: %+v", problems)
	}

	if problems, _ := found(t, path, Trust{Keys: trust.Keys, Anchors: []Checkpoint{{Log: anchors[0].Log, Seq: 1}}}); len(problems) != 1 {
		t.Errorf("anchors that nobody has signed: %+v", problems)
	}

	path, anchors = signedLog(t, key, 10, Options{Now: func() time.Time { return epoch.Add(2 * time.Hour) }})
	_, foreign := signedLog(t, other, 10, Options{})
	trust.Anchors = slices.Concat(anchors, foreign, trust.Anchors)
	v := verdict(t, path, trust)
	if v.Invalid != len(foreign) || len(v.Others) != 1 || v.Reports[0].Problem != nil {
		t.Errorf("%d invalid, others %v, %+v", v.Invalid, v.Others, v.Reports[0].Problem)
	}
}

func TestAnchorsAfterRetention(t *testing.T) {
	key, now := newKey(t), epoch
	path := place(t)
	var trust Trust
	l := open(t, path, Options{
		MaxBytes: 2000, KeepFor: 30 * 24 * time.Hour, Key: key, Now: func() time.Time { return now },
		Anchor: func(c Checkpoint) { trust.Anchors = append(trust.Anchors, c) },
	})
	for i := range 40 {
		now = now.Add(48 * time.Hour)
		add(t, l, call(i))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	trust.Keys = by(key).Keys
	problems, signing := found(t, path, trust)
	if len(problems) > 0 || signing.Removed == 0 || signing.Removed+signing.Anchors != len(trust.Anchors) {
		t.Errorf("%+v %+v of %d", problems, signing, len(trust.Anchors))
	}
}

func TestAnotherKey(t *testing.T) {
	old, next := newKey(t), newKey(t)
	path, _ := signedLog(t, old, 10, Options{})
	l := open(t, path, Options{Key: next})
	add(t, l, call(10), call(11), Record{Event: Refused, Caller: "ann"})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	problems, signing := found(t, path, by(next, old))
	if want := []string{old.Public().ID(), next.Public().ID()}; len(problems) > 0 || !slices.Equal(signing.Keys, want) {
		t.Errorf("%+v, keys %v, want %v", problems, signing.Keys, want)
	}
	if problems, _ := found(t, path, by(next)); len(problems) != 1 || problems[0].Kind != Forged {
		t.Errorf("without the older key: %+v", problems)
	}
}

// Two processes write one log; only one has the key. What the other writes is signed with what comes next.
func TestKeyOfOneProcess(t *testing.T) {
	key, path := newKey(t), place(t)
	with, without := open(t, path, Options{Key: key}), open(t, path, Options{})
	for i := range 20 {
		add(t, without, call(2*i), call(2*i+1), Record{Event: Previewed})
		add(t, with, call(100+2*i), call(100+2*i+1), Record{Event: Previewed})
	}
	if err := with.Close(); err != nil {
		t.Fatal(err)
	}
	problems, signing := found(t, path, by(key))
	if len(problems) > 0 || signing.Unsigned != 0 || signing.Checkpoints != 1 {
		t.Errorf("%+v %+v", problems, signing)
	}
	now := epoch.Add(time.Hour)
	without.options.Now = func() time.Time { return now }
	add(t, without, call(200), call(201))
	now = now.Add(time.Hour)
	add(t, without, call(202))
	if problems, _ := found(t, path, by(key)); len(problems) != 1 || problems[0].Kind != Unsigned {
		t.Errorf("%+v", problems)
	}
	next := open(t, path, Options{Key: key}) // signs what it finds
	if err := next.Close(); err != nil {
		t.Fatal(err)
	}
	if problems, signing := found(t, path, by(key)); len(problems) > 0 || signing.Unsigned != 0 {
		t.Errorf("%+v %+v", problems, signing)
	}
}

// What was written is signed within a minute, once.
func TestCheckpointInTime(t *testing.T) {
	key := newKey(t)
	synctest.Test(t, func(t *testing.T) {
		path := place(t)
		l := open(t, path, Options{Key: key, Now: time.Now})
		add(t, l, call(0), call(1), Record{Event: Previewed})
		if _, signing := found(t, path, by(key)); signing.Checkpoints != 0 || signing.Unsigned != 3 {
			t.Errorf("at once: %+v", signing)
		}
		for range 3 {
			<-time.After(signAfter + time.Second)
			synctest.Wait()
		}
		if problems, signing := found(t, path, by(key)); len(problems) > 0 || signing.Checkpoints != 1 || signing.Unsigned != 0 {
			t.Errorf("%+v %+v", problems, signing)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if _, signing := found(t, path, by(key)); signing.Checkpoints != 1 {
			t.Errorf("closed: %+v", signing)
		}
	})
}

// Nobody who only reads gets a log.
func TestNoCheckpointWithoutRecords(t *testing.T) {
	path := place(t)
	l := Lazy(func() (string, error) { return path, nil }, Options{Key: newKey(t)})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Dir(path)); err == nil {
		t.Error("closing has made a folder")
	}
}

func TestKeyFile(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "audit.key")
	key, err := NewKey(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewKey(path); !os.IsExist(err) {
		t.Errorf("a key was overwritten: %v", err)
	}
	again, err := ReadKey(path)
	if err != nil || again.Public().String() != key.Public().String() {
		t.Fatalf("%v", err)
	}
	info, err := os.Stat(path)
	if err != nil || os.PathSeparator == '/' && info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	for _, text := range []string{key.Public().String(), key.Public().String() + "\n"} {
		if public, err := ParsePublicKey(text); err != nil || public.ID() != key.Public().ID() {
			t.Errorf("%q: %v", text, err)
		}
	}
	public := filepath.Join(folder, "audit.pub")
	write(t, public, []byte(key.Public().String()+"\n"))
	if read, err := ParsePublicKey(public); err != nil || read.ID() != key.Public().ID() {
		t.Error(err)
	}
	for name, content := range map[string]string{"text": "hello", "empty": "", "public": key.Public().String()} {
		file := filepath.Join(folder, name)
		write(t, file, []byte(content))
		if _, err := ReadKey(file); err == nil || !strings.Contains(err.Error(), "keygen") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, text := range []string{"", "AAAA", path, filepath.Join(folder, "none"), filepath.Join(folder, "text")} {
		if _, err := ParsePublicKey(text); err == nil {
			t.Errorf("%q is a public key", text)
		}
	}
	if os.PathSeparator == '/' {
		if err := os.Chmod(path, 0o640); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadKey(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("%v", err)
		}
	}
}

// The keys are those of OpenSSL, so that a signature can be checked without this program.
func TestOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("there is no openssl")
	}
	folder := t.TempDir()
	in := func(name string) string { return filepath.Join(folder, name) }
	run := func(args ...string) []byte {
		t.Helper()
		out, err := exec.Command(openssl, args...).CombinedOutput()
		if err != nil {
			t.Skipf("this openssl does not know Ed25519: %s", out)
		}
		return out
	}
	run("genpkey", "-algorithm", "ed25519", "-out", in("key"))
	if err := os.Chmod(in("key"), 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := ReadKey(in("key"))
	if err != nil {
		t.Fatal(err)
	}
	run("pkey", "-in", in("key"), "-pubout", "-out", in("pub"))
	if public, err := ParsePublicKey(in("pub")); err != nil || public.ID() != key.Public().ID() {
		t.Errorf("%v", err)
	}
}

func TestCheckApart(t *testing.T) {
	folder := t.TempDir()
	log := filepath.Join(folder, "state", "audit.jsonl")
	for _, place := range []string{"state/deep", "elsewhere", "state2"} {
		if err := os.MkdirAll(filepath.Join(folder, place), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for key, apart := range map[string]bool{
		"state/key": false, "state/deep/key": false, "elsewhere/key": true, "key": true, "state2/key": true, "link/key": false,
	} {
		if key == "link/key" {
			if err := os.Symlink(filepath.Join(folder, "state"), filepath.Join(folder, "link")); err != nil {
				continue
			}
		}
		if err := CheckApart(filepath.Join(folder, key), log); (err == nil) != apart {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func TestReadAnchors(t *testing.T) {
	key := newKey(t)
	_, anchors := signedLog(t, key, 30, Options{MaxBytes: 3000})
	var text bytes.Buffer
	text.WriteString("Nov 24 10:00:00 host anchors[7]: ")
	for _, c := range anchors {
		line, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(append(line, "\r\n\n"...))
	}
	text.WriteString("not a checkpoint\n{\"seq\":1}\n" + strings.Repeat("x", 1<<20))
	read, other, err := parseAnchors(&text)
	if err != nil || other != 3 || !slices.Equal(read, anchors) {
		t.Errorf("%d of %d, %d others, %v", len(read), len(anchors), other, err)
	}
	if _, _, err := ReadAnchors(filepath.Join(t.TempDir(), "none")); !os.IsNotExist(err) {
		t.Errorf("%v", err)
	}
}

func FuzzAnchors(f *testing.F) {
	f.Add([]byte("x {\"log\":\"0123456789abcdef\"}\n{"))
	f.Fuzz(func(t *testing.T, text []byte) {
		anchors, _, err := parseAnchors(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range anchors {
			if !c.isWhole() {
				t.Errorf("%+v", c)
			}
		}
	})
}

func FuzzPublicKey(f *testing.F) {
	f.Add([]byte("MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="))
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		key, err := publicKeyOf(text)
		if err != nil {
			return
		}
		if again, err := publicKeyOf([]byte(key.String())); err != nil || again.ID() != key.ID() {
			t.Errorf("%v", err)
		}
	})
}

// No change of a byte of a signed log goes unseen, even when the hashes and the head are made to fit.
func TestEveryCheckpointByte(t *testing.T) {
	key := newKey(t)
	path, _ := signedLog(t, key, 3, Options{})
	all := records(t, path)
	last := all[len(all)-1]
	good, err := json.Marshal(last.Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		bad := slices.Clone(good)
		bad[random.IntN(len(bad))] ^= 1 << random.IntN(7)
		var c Checkpoint
		if json.Unmarshal(bad, &c) != nil || c == *last.Checkpoint {
			continue
		}
		r := last
		r.Checkpoint = &c
		p, _ := by(key).proof()
		if p.check(all[0], r) == nil {
			t.Fatalf("%s passes for %s", bad, good)
		}
	}
	if p, _ := by(key).proof(); p.check(all[0], last) != nil {
		t.Error("the checkpoint as it is does not pass")
	}
}
