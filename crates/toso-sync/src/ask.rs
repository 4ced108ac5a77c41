//! What a session asks of its owner, and what that is answered with.
//!
//! A session's effects are of few types. What is to be found out is a *query*, what is to be kept is a *commit*: each of them
//! is answered by exactly one event. Whatever else an effect says, a frame to send or the end, has no answer. Queries and commits
//! cannot be copied and are used up by their answer, and each has an answer of its own type. So the compiler refuses a second
//! answer and an answer to something else, and a room that performs them matches a type that has nothing but its own.

/// Something that a session waits for.
pub trait Ask {
    /// What it is answered with.
    type Answer;
    /// What the session takes.
    type Event;

    /// The answer as the session takes it.
    fn answer(self, answer: Self::Answer) -> Self::Event;
}
