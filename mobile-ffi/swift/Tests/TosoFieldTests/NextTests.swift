// What a scheduler does after each end of a background sync.

import Toso
import TosoField
import XCTest

final class NextTests: XCTestCase {
    private let info = ErrorInfo(key: "key", args: [:], detail: "detail")

    func testEachEndHasItsNextStep() {
        XCTAssertEqual(next(after: .done), .wait)
        XCTAssertEqual(next(after: .deadline), .tryAgain)
        XCTAssertEqual(next(after: .failed(error: .Offline(info: info))), .tryAgain)
        XCTAssertEqual(next(after: .failed(error: .NotEnrolled(info: info))), .wait)
        XCTAssertEqual(next(after: .failed(error: .NotAllowed(info: info))), .tellPerson)
    }
}
