// The two names of Combine that the sample needs, so that it compiles where Apple's framework is not. On a Mac this target is not
// part of the package.

/// Something that a view can watch.
public protocol ObservableObject: AnyObject {}

/// A value whose changes a view sees.
@propertyWrapper
public struct Published<Value> {
    public var wrappedValue: Value

    public init(wrappedValue: Value) {
        self.wrappedValue = wrappedValue
    }
}
