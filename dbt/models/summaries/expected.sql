{{ expected_and_found(source('run', 'expected'), ref('images')) }}
